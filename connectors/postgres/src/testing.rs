//! A throw-away PostgreSQL server for the tests of this crate.
//!
//! Needs the programs of PostgreSQL (Debian: /usr/lib/postgresql/*/bin) and openssl; a test that
//! cannot have them fails and says so. A shell stands between the test process and the server: when
//! the process ends, however it ends, the shell stops the server and removes its folder.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Roles, each with the login it needs. Every role but `postgres` has the password `secret`.
const HBA: &str = "\
local   all all trust
host    all postgres,trusted 127.0.0.1/32 trust
host    all scram   127.0.0.1/32 scram-sha-256
host    all md5     127.0.0.1/32 md5
host    all clear   127.0.0.1/32 password
hostssl all tlsonly 127.0.0.1/32 scram-sha-256
hostnossl all plain 127.0.0.1/32 scram-sha-256
hostssl all cert    127.0.0.1/32 cert
host    all limited 127.0.0.1/32 trust
";

const ROLES: &str = "
CREATE ROLE trusted LOGIN; CREATE ROLE cert LOGIN; CREATE ROLE limited LOGIN CONNECTION LIMIT 2;
CREATE ROLE scram LOGIN PASSWORD 'secret'; CREATE ROLE clear LOGIN PASSWORD 'secret';
CREATE ROLE tlsonly LOGIN PASSWORD 'secret'; CREATE ROLE plain LOGIN PASSWORD 'secret';
SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN PASSWORD 'secret';
";

/// A running server on a port of its own, with TLS on, and the database `postgres`.
pub(crate) struct Server {
    guard: Child,
    dir: PathBuf,
    port: u16,
}

/// The server that tests share; it ends with the process.
pub(crate) fn shared_server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start("max_connections = 60"))
}

impl Server {
    /// Starts a server with more lines of postgresql.conf.
    pub(crate) fn start(settings: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("meesh-pg-{}-{number}", std::process::id()));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        fs::create_dir_all(&dir).unwrap();
        let initdb = programs().join("initdb");
        let data = dir.join("data");
        give_away(&dir);
        let options = ["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-D"];
        run(as_postgres(&initdb).args(options).arg(&data));
        certificates(&dir);
        fs::write(data.join("pg_hba.conf"), HBA).unwrap();
        let certificate = |name: &str| dir.join(name).display().to_string();
        let conf = format!(
            "\nlisten_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\nfsync = off\n\
             ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\nssl_ca_file = '{}'\n\
             shared_buffers = '64MB'\nmax_wal_size = '4GB'\n{settings}\n",
            dir.display(),
            certificate("server.pem"),
            certificate("server.key"),
            certificate("root.pem"),
        );
        let mut file = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        file.write_all(conf.as_bytes()).unwrap();
        give_away(&dir);
        let mut server = Self { guard: launch(&dir), dir, port };
        server.wait_until_up();
        server.psql(ROLES);
        server
    }

    /// A URL for a role (`scram`) or a role with another password (`scram:wrong`).
    pub(crate) fn url(&self, login: &str) -> String {
        let login = if login.contains(':') { login.to_owned() } else { format!("{login}:secret") };
        format!("postgres://{login}@127.0.0.1:{}/postgres", self.port)
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder with its socket, root.pem, other.pem, client.pem and client.key.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs SQL as the superuser and yields what psql prints, unaligned and without headers.
    pub(crate) fn psql(&self, sql: &str) -> String {
        self.psql_in("postgres", sql)
    }

    /// The same in another database.
    pub(crate) fn psql_in(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(programs().join("psql"));
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"]).arg(&self.dir);
        run(psql.args(["-p", &self.port.to_string(), "-d", database, "-c", sql]))
    }

    /// Stops it as a crash does (`immediate`) or as a restart does (`fast`).
    pub(crate) fn stop(&self, mode: &str) {
        run(as_postgres(&programs().join("pg_ctl")).args(["stop", "-w", "-m", mode, "-D"]).arg(self.dir.join("data")));
    }

    /// Starts it again after [`Self::stop`].
    pub(crate) fn start_again(&mut self) {
        let keep = self.dir.join("keep");
        fs::write(&keep, "").unwrap();
        self.end_guard();
        fs::remove_file(&keep).unwrap();
        self.guard = launch(&self.dir);
        self.wait_until_up();
    }

    /// The guard takes the end of its input for the end of the test.
    fn end_guard(&mut self) {
        drop(self.guard.stdin.take());
        self.guard.wait().unwrap();
    }

    fn wait_until_up(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        let mut ready = Command::new(programs().join("pg_isready"));
        ready.args(["-q", "-p", &self.port.to_string(), "-h"]).arg(&self.dir);
        while !ready.status().unwrap().success() {
            let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "PostgreSQL did not start: {log}");
            #[expect(clippy::disallowed_methods, reason = "tests start their server outside the runtime")]
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end_guard();
    }
}

/// Starts the server below a shell that stops it, and removes the folder, when this process is gone.
fn launch(dir: &Path) -> Child {
    let script = "\"$1\" -D \"$2/data\" >>\"$2/log\" 2>&1 & server=$!; cat >/dev/null; \
                  kill -INT $server 2>/dev/null; wait $server; [ -e \"$2/keep\" ] || rm -rf \"$2\"";
    let mut shell = as_postgres(Path::new("sh"));
    shell.args(["-c", script, "sh"]).arg(programs().join("postgres")).arg(dir);
    // In a process group of its own: what interrupts the tests must not kill the guard first.
    shell.process_group(0).stdin(Stdio::piped()).spawn().unwrap()
}

fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is needed: apt install postgresql");
    let mut found: Vec<PathBuf> = versions.map(|version| version.unwrap().path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop().expect("the PostgreSQL server is needed: apt install postgresql")
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    // The folder of the tests may be closed to that user.
    command.current_dir("/").args(["-u", "postgres", "--"]).arg(program);
    command
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn give_away(dir: &Path) {
    if is_root() {
        run(Command::new("chown").args(["-R", "postgres"]).arg(dir));
    }
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout).trim_end().to_owned()
}

/// A root, a server and a client certificate of it, and another root that issued nothing.
fn certificates(dir: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let openssl = |line: String| run(Command::new("openssl").args(line.split(' ')).current_dir(dir));
    for root in ["root", "other"] {
        openssl(format!("req -x509 {key} -days 30 -subj /CN={root} -keyout {root}.key -out {root}.pem"));
    }
    for (name, subject, extensions) in [
        ("server", "/CN=localhost", "subjectAltName=DNS:localhost"),
        ("client", "/CN=cert", "extendedKeyUsage=clientAuth"),
    ] {
        fs::write(dir.join(format!("{name}.ext")), extensions).unwrap();
        openssl(format!("req {key} -subj {subject} -keyout {name}.key -out {name}.csr"));
        openssl(format!(
            "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -CAcreateserial -days 30 -sha384 \
             -extfile {name}.ext -out {name}.pem"
        ));
    }
}
