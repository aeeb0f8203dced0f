//! Project tasks: tidy, build, test.

fn main() {}
