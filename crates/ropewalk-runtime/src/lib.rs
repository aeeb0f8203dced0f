//! Runs CNI plugin chains: the part that container runtimes embed.
