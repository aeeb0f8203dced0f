//! Desired and observed network state, their difference, and the CNI verbs over it.
