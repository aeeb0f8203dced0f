//! Every CNI plugin and the multi-call binary that holds them.
