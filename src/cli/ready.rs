//! The box that says where the server listens, with lines to copy into a notebook and a shell.

/// What a person needs to begin.
pub(super) struct Ready {
    /// The Flight SQL door.
    pub(super) flight_url: String,
    /// The admin port.
    pub(super) admin_url: String,
    /// Names of catalogs.
    pub(super) catalogs: Vec<String>,
    /// Whether clients must log in.
    pub(super) has_users: bool,
}

impl Ready {
    /// The text, with a line end.
    pub(super) fn text(&self) -> String {
        let lines = [
            format!("meesh {} is ready (Ctrl-C stops it)", super::version::VERSION),
            String::new(),
            format!("Flight SQL  {}", self.flight_url),
            format!("health      {}/readyz?verbose", self.admin_url),
            format!("metrics     {}/metrics", self.admin_url),
            format!("catalogs    {}", self.catalogs.join(", ")),
            format!(
                "logins      {}",
                if self.has_users { "user and password" } else { "nobody is asked who they are" }
            ),
        ];
        let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let mut text = format!("┌─{}─┐\n", "─".repeat(width));
        for line in lines {
            text.push_str(&format!("│ {line:<width$} │\n"));
        }
        text.push_str(&format!("└─{}─┘\n", "─".repeat(width)));
        text.push_str(&self.snippets());
        text
    }

    fn snippets(&self) -> String {
        let url = &self.flight_url;
        let login =
            if self.has_users { ",\n        db_kwargs={\"username\": \"…\", \"password\": \"…\"}" } else { "" };
        let user = if self.has_users { " --user …" } else { "" };
        format!(
            "
Python, after pip install adbc-driver-flightsql pyarrow:

    import adbc_driver_flightsql.dbapi as flightsql
    connection = flightsql.connect(\"{url}\"{login}, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute(\"SHOW CATALOGS\")
        print(cursor.fetch_arrow_table().to_pandas())

Shell:

    meesh sql {url}{user}

"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_is_straight_and_holds_the_urls() {
        let ready = Ready {
            flight_url: "grpc://127.0.0.1:32010".into(),
            admin_url: "http://127.0.0.1:9090".into(),
            catalogs: vec!["lake".into(), "sales".into()],
            has_users: true,
        };
        let text = ready.text();
        let widths: Vec<usize> = text.lines().take(9).map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
        assert!(text.contains("grpc://127.0.0.1:32010") && text.contains("db_kwargs"), "{text}");
    }
}
