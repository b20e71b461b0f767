//! The whole configuration: precedence, checks across files, and the reference page.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use meesh_base::Result;

use super::references::References;
use super::{Config, ConfigFlags, load_with, reference_page};

struct Etc(PathBuf);

impl Etc {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("meesh-config-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("catalog")).unwrap();
        for (file, text) in files {
            std::fs::write(folder.join(file), text).unwrap();
        }
        Self(folder)
    }

    fn load(&self, variables: &[(&str, &str)], flags: ConfigFlags) -> Result<Config> {
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        load_with(Some(self.0.clone()), &flags, References::new(variables, Some(self.0.clone())))
    }

    fn error(&self) -> String {
        self.load(&[], ConfigFlags::default()).unwrap_err().to_string()
    }
}

impl Drop for Etc {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn flags_beat_environment_beats_yaml_beats_properties() {
    let trino = "query.max-concurrent-queries=1\nquery.max-queued-queries=1\nspiller-spill-path=/a\n";
    let etc = Etc::new(
        "precedence",
        &[
            ("config.properties", trino),
            ("meesh.yaml", "queries: {running_max: 2, queued_max: 2}\nflight.listen: 127.0.0.1:1\n"),
        ],
    );
    let flags = ConfigFlags { flight_listen: Some("127.0.0.1:3".to_owned()), ..ConfigFlags::default() };
    let variables = [("MEESH_QUERIES__RUNNING_MAX", "3"), ("MEESH_FLIGHT__LISTEN", "127.0.0.1:2")];
    let settings = etc.load(&variables, flags).unwrap().settings;
    assert_eq!(settings.engine.running_max, 3);
    assert_eq!(settings.engine.queued_max, 2);
    assert_eq!(settings.engine.spill_dir, PathBuf::from("/a"));
    assert_eq!(settings.flight_listen.port(), 3);
}

#[test]
fn effective_values_say_where_they_come_from_and_secrets_stay_hidden() {
    let files = [
        ("config.properties", "internal-communication.shared-secret=hunter2\n"),
        ("meesh.yaml", "\nqueries: {queued_max: 7}\n"),
    ];
    let etc = Etc::new("origins", &files);
    let config = etc.load(&[("MEESH_INSECURE", "true")], ConfigFlags::default()).unwrap();
    let effective = config.effective();
    let find = |name: &str| effective.iter().find(|(key, ..)| *key == name).unwrap();
    assert_eq!(find("insecure").2, "environment variable MEESH_INSECURE");
    assert!(find("queries.queued_max").2.ends_with("meesh.yaml:2"));
    assert_eq!(find("admin.listen").2, "default");
    assert!(!format!("{effective:?} {:?} {:?}", config.values, config.warnings).contains("hunter2"));
}

#[test]
fn trinos_keys_are_honoured_or_warn() {
    let etc = Etc::new(
        "trino",
        &[
            ("config.properties", "coordinator=true\nhttp-server.http.port=8080\nquery.max-run-time=1.00h\n"),
            ("node.properties", "node.environment=production\n"),
            ("jvm.config", "-Xmx1G\n"),
            ("log.properties", "io.trino=DEBUG\n"),
        ],
    );
    let config = etc.load(&[], ConfigFlags::default()).unwrap();
    assert_eq!(config.warnings.len(), 4, "{:?}", config.warnings);
    assert!(config.warnings.iter().any(|w| w.contains("http-server.http.port") && w.contains("config.properties:2")));
    assert_eq!(config.settings.session.property("query_max_run_time").as_deref(), Some("1.00h"));
    assert_eq!(config.log_level.as_deref(), Some("debug"));
}

#[test]
fn mistakes_name_file_line_and_the_nearest_key() {
    let yaml = |text: &str| Etc::new("mistake", &[("meesh.yaml", text)]).error();
    let error = yaml("flight:\n  listn: 127.0.0.1:1\n");
    assert!(error.contains("meesh.yaml:2") && error.contains("\"flight.listen\""), "{error}");
    let error = yaml("flight.listen: nowhere\n");
    assert!(error.contains("flight.listen") && error.contains("127.0.0.1:32010"), "{error}");
    let error = yaml("queries.running_max: 0\n");
    assert!(error.contains("at least 1"), "{error}");
    let error = yaml("users.file: missing.db\n");
    assert!(error.contains("missing.db"), "{error}");
    let error = Etc::new("mistake2", &[("config.properties", "query.max-runtime=1h\n")]).error();
    assert!(error.contains("config.properties:1") && error.contains("query.max-run-time"), "{error}");
}

#[test]
fn only_variables_that_can_be_no_service_of_kubernetes_are_checked() {
    let etc = Etc::new("variables", &[]);
    let load = |name: &str| etc.load(&[(name, "tcp://10.0.0.1:32010")], ConfigFlags::default());
    assert!(load("MEESH_PORT_32010_TCP").is_ok());
    let error = load("MEESH_FLIGHT__LISTN").unwrap_err().to_string();
    assert!(error.contains("MEESH_FLIGHT__LISTEN"), "{error}");
}

#[test]
fn strangers_are_served_only_when_somebody_says_so() {
    let check = |text: &str, extra: &[(&str, &str)]| {
        let mut files = vec![("meesh.yaml", text)];
        files.extend_from_slice(extra);
        let config = Etc::new("exposure", &files).load(&[], ConfigFlags::default())?;
        config.settings.check_exposure().map(|()| config.settings.exposure_warnings().len())
    };
    assert_eq!(check("", &[]).unwrap(), 0);
    assert!(check("flight.listen: 0.0.0.0:1\n", &[]).unwrap_err().to_string().contains("without users"));
    let users = [("p.db", "ann:$2y$10$x\n")];
    assert!(
        check("flight.listen: 0.0.0.0:1\nusers.file: p.db\n", &users).unwrap_err().to_string().contains("without TLS")
    );
    assert_eq!(check("flight.listen: 0.0.0.0:1\ninsecure: true\n", &[]).unwrap(), 2);
    let all = [("p.db", "ann:$2y$10$x\n"), ("c.pem", "x"), ("k.pem", "x")];
    let text = "flight: {listen: 0.0.0.0:1, tls: {certificate: c.pem, key: k.pem}}\nusers.file: p.db\n";
    assert_eq!(check(text, &all).unwrap(), 0);
}

#[test]
fn what_would_open_what_somebody_closed_stops_the_start() {
    let error = Etc::new("rules", &[("access-control.properties", "access-control.name=file\n")]).error();
    assert!(error.contains("access-control.properties"), "{error}");
    let error = Etc::new("oauth", &[("config.properties", "http-server.authentication.type=OAUTH2\n")]).error();
    assert!(error.contains("OAUTH2"), "{error}");
    let error = Etc::new("password", &[("config.properties", "http-server.authentication.type=PASSWORD\n")]).error();
    assert!(error.contains("users.file"), "{error}");
    let open = Etc::new("open", &[("access-control.properties", "access-control.name=allow-all\n")]);
    assert!(open.load(&[], ConfigFlags::default()).is_ok());
}

#[test]
fn the_secret_of_sessions_is_long_and_never_shown() {
    let secret = "0123456789abcdef0123456789abcdef";
    let yaml = "flight: {session_secret: '${FILE:session.key}', session_lifetime: 7d}\n";
    let etc = Etc::new("session", &[("meesh.yaml", yaml), ("session.key", &format!("{secret}\n"))]);
    let config = etc.load(&[], ConfigFlags::default()).unwrap();
    assert_eq!(config.settings.session_secret.as_ref().unwrap().expose(), secret);
    assert_eq!(config.settings.session_lifetime, Duration::from_secs(7 * 86400));
    assert!(!format!("{:?} {:?}", config.effective(), config.settings).contains(secret));
    assert!(config.effective().iter().any(|(name, text, _)| *name == "flight.session_secret" && text == "***"));

    let none = Etc::new("no-session", &[]).load(&[], ConfigFlags::default()).unwrap();
    assert!(none.settings.session_secret.is_none());
    assert!(none.effective().iter().all(|(name, ..)| *name != "flight.session_secret"));

    let error = Etc::new("short", &[("meesh.yaml", "flight.session_secret: hunter2\n")]).error();
    assert!(error.contains("fewer than 32") && error.contains("meesh.yaml:1") && !error.contains("hunter2"), "{error}");
    let error = Etc::new("brief", &[("meesh.yaml", "flight.session_lifetime: 0s\n")]).error();
    assert!(error.contains("at least 60 s"), "{error}");
}

#[test]
fn grace_and_memory() {
    let trino = "shutdown.grace-period=2.00m\nquery.max-memory=64MB\nquery.max-memory-per-node=50%\n";
    let etc = Etc::new("limits", &[("config.properties", trino), ("meesh.yaml", "memory.limit: 1GB\n")]);
    let settings = etc.load(&[], ConfigFlags::default()).unwrap().settings;
    assert_eq!(settings.grace, Duration::from_secs(120));
    assert_eq!(settings.engine.memory_limit_bytes, Some(1 << 30));
    assert_eq!(settings.engine.query_memory_limit_bytes, Some(64 << 20));
}

#[test]
fn the_committed_reference_page_is_what_the_keys_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let page = reference_page(&meesh_connector_registry::factories());
    assert!(committed == page, "write it again: meesh config reference > docs/configuration.md");
}
