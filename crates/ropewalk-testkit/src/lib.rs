//! Fake kernel, private namespaces and builders for tests.
