//! Throw-away PostgreSQL servers: found on the machine, run on free loopback ports with their data in a
//! temporary folder, and stopped by process id however the demo ends.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;

/// The password of both roles; the servers listen on loopback only and hold nothing but sample data.
pub(super) const PASSWORD: &str = "demo";

/// The role that the catalogs connect as: it may read the sample tables and nothing else.
pub(super) const READER: &str = "meesh_reader";

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Settings for data that nobody will miss: no waiting for the disk, no socket file, loopback only.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "shared_buffers=16MB",
    "max_connections=40",
    "timezone=UTC",
];

/// The server programs of one PostgreSQL installation, and how to run them.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    version: String,
    /// PostgreSQL refuses to run as root, so root runs it as this user.
    run_as: Option<(&'static str, u32, u32)>,
    has_setpriv: bool,
}

impl Programs {
    /// Finds an installation: `pg_config`'s, the newest of Debian's, or the one on PATH.
    ///
    /// # Errors
    /// When there is none (the message says how to install it), or when this process is root and the
    /// machine has no user `postgres`.
    pub(super) fn find() -> Result<Self> {
        let has_server = |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("postgres").is_file();
        let Some(folder) = candidates().into_iter().find(has_server) else {
            bail!(
                "PostgreSQL's server programs (initdb, postgres) were not found; install them with \
                 `apt-get install postgresql` (Debian, Ubuntu), `dnf install postgresql-server` (Fedora) or \
                 `brew install postgresql` (macOS), or let `make demo` do it"
            );
        };
        let said = output_of(Command::new(folder.join("postgres")).arg("--version")).unwrap_or_default();
        let version = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let run_as = if output_of(Command::new("id").arg("-u")).as_deref() == Some("0") {
            let id = |flag: &str| output_of(Command::new("id").args([flag, "postgres"]))?.parse::<u32>().ok();
            match (id("-u"), id("-g")) {
                (Some(uid), Some(gid)) => Some(("postgres", uid, gid)),
                _ => bail!(
                    "PostgreSQL does not run as root, and user \"postgres\" does not exist; create it with \
                     `useradd --system postgres`, or run the demo as another user"
                ),
            }
        } else {
            None
        };
        let has_setpriv = output_of(Command::new("setpriv").arg("--version")).is_some();
        Ok(Self { version: version.unwrap_or("unknown").to_owned(), folder, run_as, has_setpriv })
    }

    /// The version, such as `15.18`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// A command line that runs `tool` with the rights PostgreSQL wants.
    fn command(&self, tool: impl AsRef<OsStr>) -> Command {
        let mut command = match (self.has_setpriv, self.run_as) {
            // The kernel then stops the server when this process dies, even by SIGKILL.
            (true, run_as) => {
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "INT"]);
                if let Some((user, ..)) = run_as {
                    command.args(["--reuid", user, "--regid", user, "--init-groups"]);
                }
                command.arg(tool);
                command
            }
            (false, Some((user, ..))) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(tool);
                command
            }
            (false, None) => Command::new(tool),
        };
        // The user `postgres` may not enter the folder the demo was started in.
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    fn tool(&self, name: &str) -> Command {
        self.command(self.folder.join(name))
    }

    fn give_away(&self, path: &Path) -> Result<()> {
        if let Some((_, uid, gid)) = self.run_as {
            std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .with_context(|| format!("could not give {path:?} to user \"postgres\""))?;
        }
        Ok(())
    }

    /// Makes an empty cluster in `folder` (which must not exist); its superuser is `postgres`.
    pub(super) async fn init_cluster(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir(folder).with_context(|| format!("could not create folder {folder:?}"))?;
        self.give_away(folder)?;
        let password = folder.with_extension("password");
        std::fs::write(&password, PASSWORD)?;
        self.give_away(&password)?;
        let mut initdb = self.tool("initdb");
        initdb.arg("-D").arg(folder).arg("--pwfile").arg(&password);
        initdb.args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync"]);
        succeed("initdb", finish(initdb).await?)
    }

    /// Copies a cluster that no server runs on, which is quicker than making another.
    pub(super) async fn copy_cluster(&self, from: &Path, to: &Path) -> Result<()> {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(from).arg(to);
        succeed("cp", finish(copy).await?)
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    folders.extend(output_of(Command::new("pg_config").arg("--bindir")).map(PathBuf::from));
    let mut debian: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    folders.extend(debian.into_iter().map(|(_, folder)| folder));
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    folders
}

/// What a command printed, trimmed, if it is there and succeeded.
fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

async fn finish(command: Command) -> Result<Output> {
    let program = command.get_program().to_owned();
    tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("could not run program {program:?}"))
}

fn succeed(what: &str, output: Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    bail!("{what} failed ({}): {}", output.status, String::from_utf8_lossy(said).trim());
}

/// A running server with one database of sample data. Dropping it stops it at once.
pub(super) struct PostgresServer {
    /// The name of its database.
    pub(super) database: &'static str,
    /// Its loopback port.
    pub(super) port: u16,
    programs: Programs,
    cluster: PathBuf,
    process: Child,
}

impl PostgresServer {
    /// Starts a server on `cluster` and waits until it takes connections.
    ///
    /// Call it from the runtime's own threads: the server is told to stop when the starting thread ends.
    ///
    /// # Errors
    /// When the server ends at once or does not answer within 30 s; the message quotes its log.
    pub(super) async fn start(programs: &Programs, database: &'static str, cluster: PathBuf) -> Result<Self> {
        let port = free_port()?;
        let log = cluster.with_extension("log");
        let mut command = programs.tool("postgres");
        command.arg("-D").arg(&cluster).args(["-c", &format!("port={port}")]);
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", *setting]));
        command.stdout(std::fs::File::create(&log)?).stderr(std::fs::File::options().append(true).open(&log)?);
        // Ctrl-C on the terminal is for the demo, which then stops its servers in order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let process = command.spawn().context("could not start PostgreSQL")?;
        let mut server = Self { database, port, programs: programs.clone(), cluster, process };
        let started = Instant::now();
        while !server.answers().await? {
            let ended = server.process.try_wait()?;
            if ended.is_some() || started.elapsed() > START_TIMEOUT {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("PostgreSQL server {database:?} did not start: {}", said.trim());
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Ok(server)
    }

    async fn answers(&self) -> Result<bool> {
        let mut command = self.client("pg_isready");
        command.arg("-q");
        Ok(finish(command).await?.status.success())
    }

    fn client(&self, tool: &str) -> Command {
        let mut command = Command::new(self.programs.folder.join(tool));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"]);
        command.env("PGPASSWORD", PASSWORD).stdin(Stdio::null());
        command
    }

    /// Makes the database, fills it by `sql`, and lets [`READER`] read it.
    pub(super) async fn load(&self, sql: &str) -> Result<()> {
        self.psql("postgres", &format!("CREATE DATABASE {}", self.database)).await?;
        self.psql(self.database, sql).await?;
        let grants = format!(
            "CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}';\n\
             GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER};\n\
             ALTER ROLE {READER} SET default_transaction_read_only = on;"
        );
        self.psql(self.database, &grants).await
    }

    async fn psql(&self, database: &str, sql: &str) -> Result<()> {
        let mut command = self.client("psql");
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process =
            tokio::process::Command::from(command).kill_on_drop(true).spawn().context("could not run psql")?;
        if let Some(mut input) = process.stdin.take() {
            // psql leaves at the first error, and then says itself what was wrong.
            let _ = input.write_all(sql.as_bytes()).await;
        }
        succeed("psql", process.wait_with_output().await?)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The URL by which [`READER`] connects with psql.
    pub(super) fn url(&self) -> String {
        format!("postgres://{READER}:{PASSWORD}@127.0.0.1:{}/{}", self.port, self.database)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(Some(_))) {
            return;
        }
        let mut stop = self.programs.tool("pg_ctl");
        stop.arg("stop").arg("-D").arg(&self.cluster).args(["-s", "-w", "-t", "10", "-m", "immediate"]);
        stop.stdout(Stdio::null()).stderr(Stdio::null());
        let stopped = stop.status().is_ok_and(|status| status.success());
        if !stopped {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

fn free_port() -> Result<u16> {
    let probe = std::net::TcpListener::bind(("127.0.0.1", 0)).context("no loopback port for PostgreSQL")?;
    Ok(probe.local_addr()?.port())
}
