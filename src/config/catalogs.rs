//! What the catalogs are: read from `catalog/NAME.properties`, `meesh.yaml` and `--catalog`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use meesh_base::{ConfigValues, Error, Result, Secret};

use super::catalog_spec::{CatalogSpec, Kind};
use super::etc_dir::read_if_there;
use super::references::References;
use super::yaml::{CatalogSection, Given};
use super::{properties, yaml};

const CONNECTOR_NAME: &str = "connector.name";

/// Names that mean something else than a catalog.
const RESERVED: &[&str] = &["system", "information_schema"];

/// Where catalogs are looked for. Reading them again sees what changed since.
#[derive(Debug, Clone, Default)]
pub(crate) struct CatalogSources {
    /// The folder of `NAME.properties` files.
    pub(crate) folder: Option<PathBuf>,
    /// `meesh.yaml`.
    pub(crate) yaml: Option<PathBuf>,
    /// `NAME=URL` of the command line.
    pub(crate) flags: Vec<Secret>,
    /// Names to leave out.
    pub(crate) disabled: Vec<String>,
    /// What references are resolved with.
    pub(crate) references: References,
}

/// Every catalog by name, or why its configuration could not be read.
pub(crate) type Catalogs = BTreeMap<String, Result<CatalogSpec>>;

impl CatalogSources {
    /// Reads all sources. An error in one catalog is that catalog's; flags replace files.
    ///
    /// # Errors
    /// `InvalidQuery` if the folder or `meesh.yaml` itself cannot be read: no catalog can be told
    /// from a missing one then.
    pub(crate) fn read(&self) -> Result<Catalogs> {
        let mut all = Catalogs::new();
        for file in self.files()? {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let spec = check_name(&name).and_then(|()| self.of_file(&name, &file));
            add(&mut all, &name, &file.display().to_string(), spec);
        }
        if let Some(file) = &self.yaml
            && let Some(text) = read_if_there(file)?
        {
            for section in yaml::parse(&text, &file.display().to_string())?.catalogs {
                let origin = format!("{}:{}", file.display(), section.line);
                let spec = check_name(&section.name).and_then(|()| self.of_section(&section, file, &origin));
                add(&mut all, &section.name, &origin, spec);
            }
        }
        for flag in &self.flags {
            let (name, url) = name_and_url(flag.expose())?;
            check_name(name)?;
            let spec = CatalogSpec { origin: "flag --catalog".to_owned(), kind: Kind::Url(Secret::new(url)) };
            all.insert(name.to_lowercase(), Ok(spec));
        }
        all.retain(|name, _| !self.disabled.iter().any(|disabled| disabled.eq_ignore_ascii_case(name)));
        Ok(all)
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let Some(folder) = self.folder.as_deref().filter(|folder| folder.exists()) else { return Ok(Vec::new()) };
        let unreadable = |error: std::io::Error| {
            Error::invalid_query(format!("cannot read catalog folder {:?}", folder.display()))
                .with_detail(error.to_string())
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if path.extension().is_some_and(|extension| extension == "properties") && !is_hidden {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn of_file(&self, name: &str, file: &Path) -> Result<CatalogSpec> {
        let shown = file.display().to_string();
        let text = read_if_there(file)?.unwrap_or_default();
        let lines = properties::parse(&text, &shown)?.into_iter().map(|p| (p.line, p.name, p.value));
        self.of_lines(name, lines, &shown, shown.clone())
    }

    fn of_section(&self, section: &CatalogSection, file: &Path, origin: &str) -> Result<CatalogSpec> {
        match &section.given {
            Given::Url(url) => {
                let url = self.references.expand(url, origin)?;
                Ok(CatalogSpec { origin: origin.to_owned(), kind: Kind::Url(Secret::new(url)) })
            }
            Given::Keys(entries) => {
                let lines = entries.iter().map(|entry| (entry.line, entry.name.clone(), entry.value.clone()));
                self.of_lines(&section.name, lines, &file.display().to_string(), origin.to_owned())
            }
        }
    }

    fn of_lines(
        &self,
        name: &str,
        lines: impl Iterator<Item = (usize, String, String)>,
        file: &str,
        origin: String,
    ) -> Result<CatalogSpec> {
        let mut values = ConfigValues::new(format!("catalog {name:?}"));
        let mut connector = None;
        for (line, key, value) in lines {
            let place = format!("{file}:{line}");
            let value = self.references.expand(&value, &place)?;
            if key == CONNECTOR_NAME {
                connector = Some(value.trim().to_owned());
            } else {
                values.set(key, value, place);
            }
        }
        let connector = connector.ok_or_else(|| {
            Error::invalid_query(format!("catalog {name:?}: configuration key {CONNECTOR_NAME:?} is missing in {file}"))
                .with_hint("for example connector.name=postgresql")
        })?;
        Ok(CatalogSpec { origin, kind: Kind::Keys { connector, values } })
    }
}

fn add(all: &mut Catalogs, name: &str, origin: &str, spec: Result<CatalogSpec>) {
    let folded = name.to_lowercase();
    let spec = match all.get(&folded) {
        None => spec,
        Some(first) => {
            let other = first.as_ref().map_or("another file", |spec| spec.origin.as_str());
            Err(Error::invalid_query(format!("catalog {name:?} is configured twice: in {other} and in {origin}"))
                .with_hint("names of catalogs do not tell upper from lower case; rename one"))
        }
    };
    all.insert(folded, spec);
}

fn check_name(name: &str) -> Result<()> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || !name.chars().all(is_word) {
        return Err(Error::invalid_query(format!("catalog name {name:?} is not allowed"))
            .with_hint("use letters, digits and _"));
    }
    if RESERVED.contains(&name.to_lowercase().as_str()) {
        return Err(Error::invalid_query(format!("catalog name {name:?} is reserved")).with_hint("rename it"));
    }
    Ok(())
}

fn name_and_url(flag: &str) -> Result<(&str, &str)> {
    match flag.split_once('=') {
        Some((name, url)) if !name.is_empty() && url.contains(':') => Ok((name, url)),
        // The text is not shown: a URL may hold a password.
        _ => Err(Error::invalid_query("--catalog needs NAME=URL")
            .with_hint("for example --catalog sales=postgres://meesh@db.example/sales")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let folder = std::env::temp_dir().join(format!("meesh-catalogs-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            for (file, text) in files {
                std::fs::write(folder.join(file), text).unwrap();
            }
            Self(folder)
        }

        fn sources(&self) -> CatalogSources {
            CatalogSources {
                folder: Some(self.0.clone()),
                yaml: Some(self.0.join("meesh.yaml")),
                ..CatalogSources::default()
            }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn files_sections_and_flags_are_read() {
        let folder = Folder::new(
            "all",
            &[
                ("Sales.properties", "connector.name=postgresql\nconnection-user=ann\n"),
                ("notes.txt", "x"),
                ("meesh.yaml", "catalogs:\n  lake: s3://bucket\n"),
            ],
        );
        let sources = CatalogSources { flags: vec![Secret::new("lake=file:///tmp")], ..folder.sources() };
        let all = sources.read().unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["lake", "sales"]);
        assert!(matches!(&all["lake"].as_ref().unwrap().kind, Kind::Url(url) if url.expose() == "file:///tmp"));
        let disabled = CatalogSources { disabled: vec!["SALES".into()], ..sources };
        assert_eq!(disabled.read().unwrap().len(), 1);
    }

    #[test]
    fn a_mistake_is_its_catalogs_own() {
        let folder = Folder::new(
            "mistakes",
            &[
                ("a.properties", "connection-user=ann\n"),
                ("b.properties", "connector.name=${ENV:NOT_SET_ANYWHERE}\n"),
                ("c.properties", "connector.name=x\n"),
                ("system.properties", "connector.name=x\n"),
                ("meesh.yaml", "catalogs: {C: {connector.name: x}}\n"),
            ],
        );
        let all = folder.sources().read().unwrap();
        let errors: Vec<String> = all.values().map(|spec| spec.as_ref().unwrap_err().to_string()).collect();
        assert!(errors[0].contains("connector.name") && errors[0].contains("a.properties"), "{errors:?}");
        assert!(errors[1].contains("b.properties:1"), "{errors:?}");
        assert!(errors[2].contains("twice"), "{errors:?}");
        assert!(errors[3].contains("reserved"), "{errors:?}");
    }

    #[test]
    fn the_digest_sees_values_and_not_places() {
        let read = |name: &str, text: &str| {
            let folder = Folder::new(name, &[("a.properties", text)]);
            folder.sources().read().unwrap()["a"].as_ref().unwrap().digest(&Vec::new())
        };
        let first = read("d1", "connector.name=x\na=1\n");
        assert_eq!(first, read("d2", "# moved\na=1\nconnector.name=x\n"));
        assert_ne!(first, read("d3", "connector.name=x\na=2\n"));
    }

    #[test]
    fn a_flag_without_url_shows_no_password() {
        let sources =
            CatalogSources { flags: vec![Secret::new("postgres//u:hunter2@h/d")], ..CatalogSources::default() };
        assert!(!sources.read().unwrap_err().to_string().contains("hunter2"));
    }
}
