//! Ways through hosts that are built here.
