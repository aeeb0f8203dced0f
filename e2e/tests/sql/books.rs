//! The books as somebody else reads them: Python for SQLite, psql for PostgreSQL.

use std::cell::Cell;

use ropewalk_e2e::{Lab, Plugin, Value, json};

/// `sql` with this `ipam` object on network `net`; the database is what the object says, else this.
pub(crate) fn sql<'lab>(lab: &'lab Lab, database: &str, ipam: &Value) -> Plugin<'lab> {
    let ipam = kept_ipam(database, ipam);
    let config = json!({ "cniVersion": "1.1.0", "name": "net", "type": "bridge", "ipam": ipam });
    lab.plugin("sql").config(config)
}

/// An `ipam` object with the plugin's name and a database in it.
pub(crate) fn kept_ipam(database: &str, ipam: &Value) -> Value {
    let mut whole = json!({ "type": "sql", "database": database });
    for (key, value) in ipam.as_object().expect("an object") {
        whole[key] = value.clone();
    }
    whole
}

/// The addresses of a result, without their prefix lengths.
pub(crate) fn addresses(result: &Value) -> Vec<String> {
    let address = |ip: &Value| ip["address"].as_str().expect("an address").to_owned();
    let addresses = result["ips"].as_array().expect("addresses").iter().map(address);
    addresses.map(|text| text.split('/').next().unwrap_or_default().to_owned()).collect()
}

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
    count: Cell<u32>,
}

impl<'lab> Books<'lab> {
    /// Those in the usual file.
    pub(crate) fn of_file(lab: &'lab Lab) -> Self {
        Self { lab, program: format!("{PYTHON} /var/lib/ropewalk/ipam.db"), count: Cell::new(0) }
    }

    /// Runs statements; the answer is that of the last, as JSON.
    pub(crate) fn run(&self, sql: &str) -> String {
        self.count.set(self.count.get() + 1);
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
