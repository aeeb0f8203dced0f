//! SQ, IP: the plugin `sql` on SQLite and on PostgreSQL, and the command that shows and mends its
//! books.

#[path = "sql/books.rs"]
mod books;
#[path = "sql/command.rs"]
mod command;
#[path = "sql/file.rs"]
mod file;
#[path = "sql/in_one.rs"]
mod in_one;
#[path = "sql/on_file.rs"]
mod on_file;
#[path = "sql/on_server.rs"]
mod on_server;
#[path = "sql/proxy.rs"]
mod proxy;
#[path = "sql/server.rs"]
mod server;
#[path = "sql/storm.rs"]
mod storm;
