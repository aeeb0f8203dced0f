//! The CNI protocol: requests, configurations, results, errors and versions.
