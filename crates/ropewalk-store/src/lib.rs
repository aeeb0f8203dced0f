//! What Ropewalk keeps on disk: leases and borrowed values.
