//! Which pools are for whom. Pure.

use std::collections::BTreeMap;

use super::{Config, PoolConfig};

/// For whom addresses are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanting {
    /// The network's name.
    pub network: String,
    /// The pod's name.
    pub pod: Option<String>,
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
    /// Whom the pod belongs to.
    pub owner: Option<String>,
}

impl Wanting {
    /// The name that addresses are reserved and kept for: that of the pod with its namespace.
    pub fn name(&self) -> Option<String> {
        let pod = self.pod.as_ref()?;
        let namespace = self.namespace.as_deref().unwrap_or("default");
        Some(format!("{namespace}/{pod}"))
    }
}

impl PoolConfig {
    fn is_for(&self, wanting: &Wanting) -> bool {
        let names = |list: &[String], name: Option<&String>| {
            list.is_empty() || name.is_some_and(|name| list.contains(name))
        };
        names(&self.networks, Some(&wanting.network))
            && names(&self.namespaces, wanting.namespace.as_ref())
            && names(&self.owners, wanting.owner.as_ref())
            && self.labels.iter().all(|(key, value)| wanting.labels.get(key) == Some(value))
    }
}

/// A group's name, and its pools.
pub type Grouped<'a> = (&'a str, Vec<&'a PoolConfig>);

impl Config {
    /// The pools for the one who wants addresses, by their groups. A group that has no pool for
    /// them gives them nothing.
    pub fn groups(&self) -> Vec<Grouped<'_>> {
        grouped(self.pools.iter().filter(|pool| pool.is_for(&self.wanting)))
    }

    /// All pools by their groups.
    pub fn all_groups(&self) -> Vec<Grouped<'_>> {
        grouped(self.pools.iter())
    }
}

/// Groups and pools are in the order in which they are written.
fn grouped<'a>(pools: impl Iterator<Item = &'a PoolConfig>) -> Vec<Grouped<'a>> {
    let mut groups: Vec<Grouped<'a>> = Vec::new();
    for pool in pools {
        match groups.iter_mut().find(|(name, _)| *name == pool.group) {
            Some((_, pools)) => pools.push(pool),
            None => groups.push((&pool.group, vec![pool])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use ropewalk_cni::{ALL, Environment, Request};
    use serde_json::{Value, json};

    use super::*;

    /// The names of pools by group for an attachment with these arguments.
    fn selected(pools: &Value, cni_args: &str, args: &Value) -> Vec<(String, Vec<String>)> {
        let configuration = json!({
            "cniVersion": "1.0.0", "name": "lan", "type": "bridge", "args": { "cni": args },
            "ipam": { "type": "sql", "database": "sqlite:///x", "pools": pools },
        });
        let variable = |name: &str| match name {
            "CNI_COMMAND" => Some("ADD".to_owned()),
            "CNI_ARGS" => Some(cni_args.to_owned()),
            _ => Some("x".to_owned()),
        };
        let text = configuration.to_string();
        let request = Request::parse(Environment::read(variable), text.as_bytes(), ALL).unwrap();
        let config = Config::read(&request).unwrap();
        let names = |pools: Vec<&PoolConfig>| pools.iter().map(|pool| pool.name.clone()).collect();
        let groups = config.groups().into_iter();
        groups.map(|(group, pools)| (group.to_owned(), names(pools))).collect()
    }

    fn group(name: &str, pools: &[&str]) -> (String, Vec<String>) {
        (name.to_owned(), pools.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn pools_are_grouped_by_family_unless_they_name_a_group() {
        let pools = json!([
            { "subnet": "10.1.0.0/24" }, { "subnet": "fd00::/64" }, { "subnet": "10.2.0.0/24" },
            { "subnet": "10.3.0.0/24", "group": "storage", "name": "disks" },
        ]);
        assert_eq!(
            selected(&pools, "", &json!({})),
            [
                group("IPv4", &["10.1.0.0/24", "10.2.0.0/24"]),
                group("IPv6", &["fd00::/64"]),
                group("storage", &["disks"]),
            ]
        );
    }

    #[test]
    fn a_pool_is_for_those_that_all_of_its_selectors_name() {
        let pools = json!([
            { "name": "a", "subnet": "10.1.0.0/24", "namespaces": ["prod", "stage"] },
            { "name": "b", "subnet": "10.2.0.0/24", "labels": { "app": "web" } },
            { "name": "c", "subnet": "10.3.0.0/24", "owners": ["team"], "networks": ["lan"] },
            { "name": "d", "subnet": "10.4.0.0/24", "networks": ["other"] },
        ]);
        let none: &[(String, Vec<String>)] = &[];
        assert_eq!(selected(&pools, "", &json!({})), none);
        let prod = "K8S_POD_NAMESPACE=prod;K8S_POD_NAME=web-0";
        assert_eq!(selected(&pools, prod, &json!({})), [group("IPv4", &["a"])]);
        let args = json!({ "labels": [{ "key": "app", "value": "web" }], "owner": "team" });
        assert_eq!(selected(&pools, prod, &args), [group("IPv4", &["a", "b", "c"])]);
        let args = json!({ "labels": [{ "key": "app", "value": "db" }] });
        assert_eq!(selected(&pools, "", &args), none);
    }
}
