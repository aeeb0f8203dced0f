//! SQ: `sql` on a real PostgreSQL server, which is asked by many at once, killed, cut off, filled and
//! replaced.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ropewalk_e2e::{Lab, Plugin, json};

use super::books::{addresses, kept_ipam, sql};
use super::proxy::{Cut, Proxy};
use super::server::{Server, pool};

/// ADD for these containers at once, each on the host of its number; the addresses.
fn add_at_once(plugin: &Plugin<'_>, ipam: &ropewalk_e2e::Value, names: &[String]) -> Vec<String> {
    let add = |(index, name): (usize, &String)| {
        let mut ipam = ipam.clone();
        ipam["host"] = json!(format!("h{}", index % 2));
        plugin.clone().key("ipam", &ipam).on(name).command("ADD").start()
    };
    let running: Vec<_> = names.iter().enumerate().map(add).collect();
    running.into_iter().flat_map(|add| addresses(&add.finish().result())).collect()
}

#[test]
fn sq_20_verbs_on_a_server() {
    let lab = Lab::new();
    let server = Server::new(&lab, "pg", 5432);
    let plugin = sql(&lab, &server.url(), &pool("10.0.0.0/29"));
    let result = plugin.clone().on("c1").add().result();
    assert_eq!(addresses(&result), ["10.0.0.2"]);
    plugin.clone().on("c1").check(&result).silent();
    let second = "failed to allocate: 10.0.0.2 has been allocated to c1, duplicate allocation is \
                  not allowed";
    assert_eq!(plugin.clone().on("c1").add().failure(), second);
    for container in ["c2", "c3", "c4", "c5"] {
        plugin.clone().status().silent();
        plugin.clone().on(container).add().result();
    }
    let exhausted = "failed to allocate: no IP addresses available in pool: 10.0.0.1-10.0.0.6";
    assert_eq!(plugin.clone().status().error_with_code(50), exhausted);
    plugin.clone().on("c4").del_without_result().silent();
    plugin.clone().on("c4").del_without_result().silent();
    plugin.gc(&[("c1", "eth0")]).silent();
    assert_eq!(server.held(), ["10.0.0.2 c1"]);
}

#[test]
fn sq_21_two_hosts_and_eight_at_once_never_get_one_address_twice() {
    let lab = Lab::new();
    let server = Server::new(&lab, "pg", 5432);
    let flat = json!([{ "name": "flat", "subnet": "10.0.0.0/24" }]);
    let blocks = json!([{ "name": "blocks", "subnet": "10.1.0.0/26", "blockSize": 29 }]);
    for pools in [flat, blocks] {
        let plugin = sql(&lab, &server.url(), &json!({ "pools": pools }));
        let ipam = kept_ipam(&server.url(), &json!({ "pools": pools }));
        let mut given = BTreeSet::new();
        for round in 0..3 {
            let names: Vec<String> = (0..8).map(|number| format!("r{round}-{number}")).collect();
            given.extend(add_at_once(&plugin, &ipam, &names));
            plugin.clone().on(&names[0]).del_without_result().silent();
        }
        assert!(given.len() >= 21, "{given:?}");
        assert_eq!(server.held().len(), 21);
        for name in server.held() {
            let (_, container) = name.split_once(' ').expect("address and container");
            plugin.clone().on(container).del_without_result().silent();
        }
    }
    let hosts = "SELECT count(DISTINCT host) FROM ropewalk_pool WHERE block <> ''";
    assert_eq!(server.psql("ipam", hosts).trim(), "2");
}

#[test]
fn sq_22_a_connection_cut_at_any_message_leaves_all_or_nothing() {
    let lab = Lab::new();
    let server = Server::new(&lab, "pg", 5432);
    let proxy = Proxy::before(&server);
    let plugin = sql(&lab, &proxy.url(&server), &pool("10.0.0.0/16")).on("c1");
    plugin.add().result();
    plugin.del_without_result().silent();
    for cut in [Cut::FirstAfterAnswers, Cut::FirstAfterQuestions] {
        // Before that nothing but the server's parameters comes.
        let mut count = 8;
        loop {
            proxy.set(cut(count));
            let outcome = plugin.add();
            proxy.set(Cut::Never);
            if outcome.code == 0 {
                break;
            }
            outcome.error_with_code(11);
            assert_eq!(server.held(), [""; 0], "{:?}: {outcome}", cut(count));
            count += 1;
        }
        assert!(count > 20, "the proxy cut nothing");
        eprintln!("FAULTS TRIED: {} cuts of a connection to PostgreSQL", count - 8);
        assert_eq!(server.held().len(), 1);
        plugin.del_without_result().silent();
    }
    for count in (10..60).step_by(10) {
        proxy.set(Cut::EachAfterAnswers(count));
        let outcome = plugin.add();
        proxy.set(Cut::Never);
        assert!(outcome.code == 0 || outcome.error().code == 11, "{outcome}");
        plugin.del_without_result().silent();
        assert_eq!(server.held(), [""; 0], "{outcome}");
    }
}

#[test]
fn sq_23_a_server_that_is_killed_in_a_transaction_comes_back_without_it() {
    let lab = Lab::new();
    let mut server = Server::new(&lab, "pg", 5432);
    let plugin = sql(&lab, &server.url(), &pool("10.0.0.0/24"));
    plugin.clone().on("c1").add().result();
    // Somebody holds the pool, so that the next claim waits within its transaction.
    let lock = "BEGIN; SELECT 1 FROM ropewalk_pool FOR UPDATE; SELECT pg_sleep(60)";
    lab.sh(&format!("({}) >/dev/null 2>&1 &", server.psql_script("ipam", lock)));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type";
    let count = |what: &str| server.psql("ipam", &format!("{waiting} {what}")).trim().to_owned();
    lab.wait_until("the pool is held", || count("= 'Timeout'") == "1");
    let add = plugin.clone().on("c2").command("ADD").start();
    lab.wait_until("the claim waits", || count("= 'Lock'") == "1");
    server.kill();
    let lost = add.finish().error_with_code(11);
    assert!(lost.starts_with("lost the connection to database postgres://"), "{lost}");
    let refused = plugin.clone().on("c2").add().error_with_code(11);
    assert!(refused.starts_with("failed to connect to database"), "{refused}");
    plugin.clone().on("c2").del_without_result().error_with_code(11);
    plugin.clone().status().error_with_code(50);
    server.start();
    assert_eq!(server.held(), ["10.0.0.2 c1"]);
    assert_eq!(addresses(&plugin.on("c2").add().result()), ["10.0.0.3"]);
}

#[test]
fn sq_34_pools_change_while_hosts_use_them_and_every_address_can_be_had() {
    let lab = Lab::new();
    let server = Server::new(&lab, "pg", 5432);
    let subnet = |keys: ropewalk_e2e::Value| {
        let mut pool = json!({ "name": "lan", "subnet": "10.0.0.0/27" });
        pool.as_object_mut().expect("an object").extend(keys.as_object().cloned().expect("keys"));
        json!({ "pools": [pool] })
    };
    let changes = [
        json!({ "blockSize": 29 }),
        json!({ "blockSize": 30 }),
        json!({}),
        json!({ "name": "other" }),
        json!({ "blockSize": 28 }),
    ]
    .map(subnet);
    let mut old = &changes[0];
    for (round, new) in changes.iter().enumerate() {
        // Hosts are told one after the other, and ask in the same moment.
        let asked: Vec<_> = (0..6)
            .map(|number| {
                let mut ipam = kept_ipam(&server.url(), if number % 2 == 0 { old } else { new });
                ipam["host"] = json!(format!("h{}", number % 2));
                let plugin = sql(&lab, &server.url(), new).key("ipam", &ipam);
                plugin.on(&format!("r{round}-{number}")).command("ADD").start()
            })
            .collect();
        for add in asked {
            add.finish().result();
        }
        let plugin = sql(&lab, &server.url(), new);
        let last = (0..30).map(|number| plugin.clone().on(&format!("r{round}-last{number}")).add());
        let refused = last.into_iter().find(|add| add.code != 0).expect("a pool that ends");
        assert!(refused.failure().contains("no IP addresses available"));
        assert_eq!(server.held().len(), 29, "{new}");
        for held in server.held().iter().skip(round % 2).step_by(2) {
            let (_, container) = held.split_once(' ').expect("address and container");
            plugin.clone().on(container).del_without_result().silent();
        }
        old = new;
    }
}

#[test]
fn sq_24_whoever_waits_too_long_is_told_to_try_again() {
    let lab = Lab::new();
    let server = Server::new(&lab, "pg", 5432);
    let ipam = json!({ "pools": [{ "subnet": "10.0.0.0/24" }], "deadline": 1 });
    let plugin = sql(&lab, &server.url(), &ipam);
    let patient = sql(&lab, &server.url(), &pool("10.0.0.0/24"));
    patient.clone().on("c1").add().result();
    let lock = "BEGIN; SELECT 1 FROM ropewalk_pool FOR UPDATE; SELECT pg_sleep(60)";
    lab.sh(&format!("({}) >/dev/null 2>&1 &", server.psql_script("ipam", lock)));
    let holding = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    lab.wait_until("the pool is held", || server.psql("ipam", holding).trim() == "1");
    let begun = Instant::now();
    plugin.clone().on("c2").add().error_with_code(11);
    assert!(begun.elapsed() < ropewalk_e2e::patience(Duration::from_secs(5)));
    server.psql(
        "ipam",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE \
        wait_event = 'PgSleep'",
    );
    lab.wait_until("the claim goes through", || patient.clone().on("c2").add().code == 0);
    assert_eq!(server.held(), ["10.0.0.2 c1", "10.0.0.3 c2"]);
}

#[test]
fn sq_25_a_replica_is_passed_over_and_takes_over() {
    let lab = Lab::new();
    let mut primary = Server::new(&lab, "pg1", 5432);
    let standby = Server::standby_of(&primary, "pg2", 5433);
    let hosts = "%2Frun%2Fpg2:5433,%2Frun%2Fpg1";
    let url = format!("postgres://{hosts}/ipam?target_session_attrs=read-write");
    let plugin = sql(&lab, &url, &pool("10.0.0.0/24"));
    assert_eq!(addresses(&plugin.clone().on("c1").add().result()), ["10.0.0.2"]);
    let rows = "SELECT count(*) FROM ropewalk_lease";
    let replayed = standby.psql_script("ipam", rows);
    lab.wait_until("the standby has the lease", || lab.try_sh(&replayed).stdout.trim() == "1");
    primary.kill();
    let error = plugin.clone().on("c2").add().error();
    assert_eq!(error.code, 11);
    assert!(error.msg.contains("the server is read-only"), "{}", error.msg);
    assert_eq!(error.details, "hint: name the primary, or all servers, in the database's URL");
    standby.psql("postgres", "SELECT pg_promote()");
    assert_eq!(addresses(&plugin.clone().on("c2").add().result()), ["10.0.0.3"]);
    plugin.on("c1").del_without_result().silent();
    assert_eq!(standby.held(), ["10.0.0.3 c2"]);
}

#[test]
fn sq_26_a_database_that_is_read_only_or_full_says_so() {
    let lab = Lab::new();
    let server = Server::new(&lab, "pg", 5432);
    let plugin = sql(&lab, &server.url(), &pool("10.0.0.0/16"));
    plugin.clone().on("c1").add().result();
    server.psql("postgres", "ALTER DATABASE ipam SET default_transaction_read_only = on");
    let read_only = plugin.clone().on("c2").add().error_with_code(11);
    assert!(read_only.ends_with("the server is read-only"), "{read_only}");
    lab.sh("mkdir /run/small && mount -t tmpfs -o size=16m tmpfs /run/small && \
            chown postgres /run/small");
    server.psql("postgres", "CREATE TABLESPACE small LOCATION '/run/small'");
    server.psql("postgres", "CREATE DATABASE small TABLESPACE small");
    let small = sql(&lab, &server.url().replace("/ipam", "/small"), &pool("10.0.0.0/16"));
    small.clone().on("c0").add().result();
    lab.try_sh("dd if=/dev/zero of=/run/small/filling bs=4k");
    let failed = (1..300).find_map(|number| {
        let outcome = small.clone().on(&format!("c{number}")).add();
        (outcome.code != 0).then(|| outcome.error_with_code(11))
    });
    let failed = failed.expect("there is no room for so many");
    assert!(failed.contains("No space left on device (SQLSTATE 53100)"), "{failed}");
    lab.sh("rm /run/small/filling");
    small.on("c999").add().result();
}

#[test]
fn sq_28_a_claim_among_many_leases_costs_what_it_costs_among_few() {
    let lab = Lab::new();
    let server = Server::new(&lab, "pg", 5432);
    let fill =
        |database: &str, count: u32| {
            server.psql("postgres", &format!("CREATE DATABASE {database}"));
            let url = server.url().replace("/ipam", &format!("/{database}"));
            let pools = json!({ "pools": [{ "name": "lan", "subnet": "10.0.0.0/8" }] });
            let plugin = sql(&lab, &url, &pools);
            plugin.clone().on("first").add().result();
            server.psql(database, &format!(
            "INSERT INTO ropewalk_lease SELECT host('10.0.0.0'::inet + i), 'net', 'lan', '', \
             'IPv4', 'net', 'x' || i, 'eth0', NULL, NULL, 'h', 1, NULL, NULL, 0 \
             FROM generate_series(3, {count} + 1) i; ANALYZE"
        ));
            // The cursor stands at the first of all these, and passes them once.
            let next = std::net::Ipv4Addr::from_bits(0x0a00_0002 + count).to_string();
            assert_eq!(addresses(&plugin.clone().on("second").add().result()), [next]);
            plugin
        };
    let plugins = [fill("few", 1000), fill("many", 100_000)];
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..15 {
        for (plugin, times) in plugins.iter().zip(&mut times) {
            let plugin = plugin.clone().on(&format!("c{round}"));
            let begun = Instant::now();
            plugin.add().result();
            times.push(begun.elapsed());
        }
    }
    let [few, many] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    assert!(many < few * 3, "{many:?} among many, {few:?} among few");
}

#[test]
fn sq_27_passwords_come_from_url_or_file_and_are_never_told() {
    let lab = Lab::new();
    let server = Server::new(&lab, "pg", 5432);
    for (method, user) in [("scram-sha-256", "one"), ("md5", "two"), ("password", "three")] {
        server.psql(
            "ipam",
            &format!(
                "SET password_encryption = '{}'; CREATE ROLE {user} LOGIN \
            PASSWORD 'geheim'; GRANT ALL ON SCHEMA public TO {user}",
                if method == "password" { "md5" } else { method }
            ),
        );
        lab.write(
            &format!("{}/data/pg_hba.conf", server.directory()),
            &format!("local all postgres trust\nhost all all 127.0.0.1/32 {method}\n"),
        );
        server.psql("ipam", "SELECT pg_reload_conf()");
        let url = |login: &str| format!("postgres://{login}@127.0.0.1:5432/ipam");
        let plugin =
            |login: &str, ipam: &ropewalk_e2e::Value| sql(&lab, &url(login), ipam).on(user);
        let pools = json!([{ "subnet": "10.0.0.0/24" }]);
        let wrong = plugin(&format!("{user}:falsch"), &json!({ "pools": pools }));
        let right = plugin(&format!("{user}:geheim"), &json!({ "pools": pools }));
        lab.wait_until("the server has read its settings", || {
            right.del_without_result().code == 0 && wrong.del_without_result().code != 0
        });
        let told = wrong.add().failure();
        assert!(
            told.contains("password authentication failed") && !told.contains("falsch"),
            "{told}"
        );
        lab.write("/run/password", &format!("127.0.0.1:5432:ipam:{user}:geheim\n"));
        let file = json!({ "pools": pools, "passwordFile": "/run/password", "space": user });
        plugin(user, &file).add().result();
        server.psql("ipam", "DROP TABLE ropewalk_pool, ropewalk_lease, ropewalk_schema");
    }
    let none = sql(&lab, "postgres://one@127.0.0.1/ipam", &pool("10.0.0.0/24")).on("c1");
    let told = none.add().failure();
    assert!(told.ends_with("the server asks for a password; hint: set passwordFile"), "{told}");
}
