//! Addresses, prefixes, interface names and MAC addresses that cannot be wrong.
