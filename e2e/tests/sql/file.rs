//! The books of a file as somebody else reads them.

use ropewalk_e2e::{Lab, Value};

const PYTHON: &str = r#"python3 -c '
import json, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.row_factory = sqlite3.Row
rows = []
for statement in sys.argv[2].split(";"):
    rows = [dict(row) for row in database.execute(statement)]
database.commit()
print(json.dumps(rows))
'"#;

/// A way to ask a database.
pub(crate) struct Books<'lab> {
    lab: &'lab Lab,
    program: String,
}

impl<'lab> Books<'lab> {
    /// Those in the usual file.
    pub(crate) fn of_file(lab: &'lab Lab) -> Self {
        Self { lab, program: format!("{PYTHON} /var/lib/ropewalk/ipam.db") }
    }

    /// Runs statements; the answer is that of the last, as JSON.
    pub(crate) fn run(&self, sql: &str) -> String {
        self.lab.sh(&format!("{} \"{sql}\"", self.program))
    }

    fn rows(&self, sql: &str) -> Vec<Value> {
        let text = self.run(sql);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Who has which address, as `10.0.0.2 c1`, ascending as text.
    pub(crate) fn held(&self) -> Vec<String> {
        let sql = "SELECT address, container FROM ropewalk_lease WHERE free_at IS NULL";
        let text = |row: &Value, key: &str| row[key].as_str().expect("text").to_owned();
        let rows = self.rows(sql);
        let line = |row| format!("{} {}", text(row, "address"), text(row, "container"));
        let mut held: Vec<String> = rows.iter().map(line).collect();
        held.sort();
        held
    }

    /// All that is known of an address.
    pub(crate) fn row(&self, address: &str) -> Value {
        let rows = self.rows(&format!("SELECT * FROM ropewalk_lease WHERE address = '{address}'"));
        rows.into_iter().next().unwrap_or_else(|| panic!("no row of {address}"))
    }
}
