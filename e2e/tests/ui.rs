//! `ropewalk ui` in a real browser, against what `ip` says and what plugins do.
//!
//! Every host here sees namespaces of others that come and go: only its own are looked at.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ropewalk_e2e::{Browser, Lab, Plugin, Ui, Value, command_path, json, patience};

/// A network with two containers, and other links as people make them.
const STAGE: &str = "
ip link add lan0 type bridge && ip address add 10.1.0.1/24 dev lan0 && ip link set lan0 up
for number in 1 2; do
    ip netns add NAME$number
    ip link add v$number type veth peer name eth0 netns NAME$number
    ip link set v$number master lan0 up
    ip -n NAME$number link set lo up && ip -n NAME$number link set eth0 up
    ip -n NAME$number address add 10.1.0.1$number/24 dev eth0
    ip -n NAME$number route add default via 10.1.0.1
done
ip link add vx0 type vxlan id 42 remote 10.9.0.2 local 10.1.0.1 dstport 4789
ip link set vx0 master lan0 up
ip netns add NAME3
ip link add mv0 link lan0 netns NAME3 type macvlan mode bridge && ip -n NAME3 link set mv0 up
ip link add direct type veth peer name eth0 netns NAME3 && ip link set direct up
ip -n NAME3 link set eth0 up
echo 1 >/proc/sys/net/ipv4/ip_forward
";

/// Opens everything in the list and reads it: names, ids, and the ids above.
const LIST: &str = "
await page.waitForSelector('[role=treeitem]');
for (;;) {
    const closed = page.locator('[role=treeitem][aria-expanded=false] > .arrow').first();
    if (!(await closed.count())) break;
    await closed.click();
}
return await page.evaluate(() => {
    const above = [];
    return [...document.querySelectorAll('[role=treeitem]')].map((item) => {
        above.length = item.ariaLevel - 1;
        const told = { id: item.dataset.id, text: item.querySelector('.name').textContent + ' ' + item.querySelector('.note').textContent, above: above.toReversed() };
        above.push(item.dataset.id);
        return told;
    });
})";

fn stage(lab: &Lab, name: &str) {
    lab.sh(&STAGE.replace("NAME", name));
}

fn inode(lab: &Lab, path: &str) -> String {
    lab.sh(&format!("stat -Lc %i {path}"))
}

#[test]
fn the_list_is_what_ip_says() {
    let lab = Lab::new();
    stage(&lab, "said");
    let ui = Ui::start(&lab);
    let mut browser = Browser::open(&lab, ui.address(), "light");
    let list = browser.run(LIST);
    let items = list.as_array().expect("items");
    let item = |id: &str| {
        let found = items.iter().find(|item| item["id"] == id);
        found.unwrap_or_else(|| panic!("{id} is missing in {list:#}"))
    };
    let host = inode(&lab, "/proc/self/ns/net");
    let ports = lab.ip_json("address show");
    let of_index =
        |index: &Value| ports.as_array().into_iter().flatten().find(|l| l["ifindex"] == *index);
    for name in ["said1", "said2", "said3"] {
        let netns = inode(&lab, &format!("/run/netns/{name}"));
        let links = lab.ip_json_in(name, "address show");
        for link in links.as_array().expect("links").iter().filter(|link| link["ifname"] != "lo") {
            let shown = item(&format!("{netns}/{}", link["ifindex"]));
            let text = shown["text"].as_str().expect("text");
            assert!(text.starts_with(link["ifname"].as_str().expect("a name")), "{text}");
            for address in link["addr_info"].as_array().into_iter().flatten() {
                let address =
                    format!("{}/{}", address["local"], address["prefixlen"]).replace('"', "");
                assert!(
                    address.starts_with("fe80") || text.contains(&address),
                    "{text}: {address}"
                );
            }
            assert!(shown["above"].as_array().expect("ids").contains(&json!(format!("c{netns}"))));
        }
        // What it hangs on, by the other end's bridge.
        let first = &links[1];
        let far = of_index(&first["link_index"]);
        let master = far.and_then(|far| far["master"].as_str()).unwrap_or("lan0");
        let bridge = lab.sh(&format!("cat /sys/class/net/{master}/ifindex"));
        let card = item(&format!("c{netns}"));
        assert_eq!(card["above"][0], json!(format!("{host}/{bridge}")), "{name}: {card}");
    }
    for name in ["lan0", "vx0"] {
        let index = lab.sh(&format!("cat /sys/class/net/{name}/ifindex"));
        assert!(
            item(&format!("{host}/{index}"))["text"].as_str().unwrap_or_default().starts_with(name)
        );
    }
    // The drawing has them too, as its picture tells.
    let picture = browser.run("return await page.evaluate(() => ropewalk.drawing.picture())");
    lab.write("/run/picture.svg", picture.as_str().expect("a file"));
    let texts = lab.sh("python3 -c 'import xml.etree.ElementTree as tree
for text in tree.parse(\"/run/picture.svg\").iter(\"{http://www.w3.org/2000/svg}text\"): print(text.text)'");
    let texts: Vec<&str> = texts.lines().collect();
    for text in ["said1", "said2", "said3", "eth0  10.1.0.11", "lan0", "vx0 vxlan 42 to 10.9.0.2"] {
        assert!(texts.contains(&text), "{text} is not in the drawing: {texts:?}");
    }
    assert_eq!(browser.run("return problems"), json!([]));
}

fn bridge<'a>(lab: &'a Lab, container: &str) -> Plugin<'a> {
    lab.plugin("bridge").on(container).config(json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "page0",
        "isGateway": true, "ipam": { "type": "host-local", "subnet": "10.1.2.0/24" },
    }))
}

#[test]
fn an_add_is_shown_and_said_within_a_second_and_a_del_too() {
    let lab = Lab::new();
    lab.netns("added1");
    let ui = Ui::start(&lab);
    let mut browser = Browser::open(&lab, ui.address(), "light");
    browser.wait_for("document.querySelector('#status').dataset.status === 'live'");
    // From now on only what is said about the container is kept.
    browser.run(
        "await page.evaluate(() => { window.said = []; new MutationObserver(() => said.push(document.querySelector('#live').textContent)).observe(document.querySelector('#live'), { childList: true, characterData: true, subtree: true }); })",
    );
    let plugin = bridge(&lab, "added1");
    let shown = "[...document.querySelectorAll('[role=treeitem]')].some((item) => item.textContent.startsWith('eth0') && item.textContent.includes('10.1.2.'))";
    let mut best = Duration::MAX;
    // What the browsers of other tests take of the processors is not the page's.
    for _ in 0..5 {
        let result = plugin.add().result();
        let added = Instant::now();
        browser.wait_for(shown);
        best = best.min(added.elapsed());
        browser.wait_for("said.some((text) => text.includes('added'))");
        plugin.del(&result).silent();
        browser.wait_for(&format!("!({shown})"));
        if best < patience(Duration::from_secs(1)) {
            break;
        }
    }
    assert!(best < patience(Duration::from_secs(1)), "{best:?}");
    assert_eq!(browser.run("return problems"), json!([]));
}

#[test]
fn a_path_that_is_allowed_and_one_that_is_blocked_are_explained() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    stage(&lab, "way");
    lab.sh("nft add table inet stage
         nft 'add chain inet stage forward { type filter hook forward priority 0; }'
         nft 'add rule inet stage forward ip daddr 10.77.0.0/16 counter drop comment \"not there\"'
         ip link add outside type bridge; ip link set outside up; ip address add 10.77.0.1/16 dev outside");
    let ui = Ui::start(&lab);
    let mut browser = Browser::open(&lab, ui.address(), "dark");
    browser.wait_for(
        "[...document.querySelector('#explain-from').list.options].some((one) => one.value === 'way1')",
    );
    let ask = |to: &str| {
        format!(
            "await page.click('#tab-explain');
             await page.fill('#explain-from', 'way1');
             await page.fill('#explain-to', '{to}');
             await page.fill('#explain-port', '80');
             await page.click('.explain button[type=submit]');
             await page.waitForFunction((to) => document.querySelector('.answer').textContent.includes('→ ' + to), '{to}');
             return await page.evaluate(() => ({{
                 outcome: document.querySelector('#verdict').dataset.outcome,
                 text: document.querySelector('.answer').textContent,
                 hash: location.hash,
             }}))"
        )
    };
    let passes = browser.run(&ask("10.1.0.12"));
    assert_eq!(passes["outcome"], "passes", "{passes}");
    assert!(passes["hash"].as_str().expect("text").contains("to=10.1.0.12"), "{passes}");
    let stopped = browser.run(&ask("10.77.0.9"));
    assert_eq!(stopped["outcome"], "stopped", "{stopped}");
    assert!(stopped["text"].as_str().expect("text").contains("not there"), "{stopped}");
    // The address is the view: another browser sees the same.
    let hash = stopped["hash"].as_str().expect("text");
    let mut other = Browser::open(&lab, ui.address(), "light");
    other.run(&format!("await page.goto('{}/{hash}')", ui.origin()));
    other.wait_for("document.querySelector('#verdict')?.dataset.outcome === 'stopped'");
    // What has changed is explained anew by itself.
    lab.sh("nft flush chain inet stage forward");
    browser.wait_for("!document.querySelector('.answer').textContent.includes('not there')");
}

#[test]
fn the_pages_own_switch_of_colours_comes_before_what_the_system_wishes() {
    let lab = Lab::new();
    stage(&lab, "hue");
    let ui = Ui::start(&lab);
    let mut browser = Browser::open(&lab, ui.address(), "dark");
    let colors = |page: &str, ink: &str| {
        format!(
            "getComputedStyle(document.body).backgroundColor === '{page}' &&
             ropewalk.drawing.colors.ink === '{ink}'"
        )
    };
    let (light, dark) =
        (colors("rgb(238, 241, 244)", "#16202b"), colors("rgb(12, 17, 23)", "#e6edf3"));
    browser.wait_for(&dark);
    for (label, expected) in [("light", &light), ("dark", &dark), ("auto", &dark)] {
        browser.run("await page.click('#theme')");
        browser.wait_for(&format!("document.querySelector('#theme').value === '{label}'"));
        browser.wait_for(expected);
    }
    browser.run("await page.emulateMedia({ colorScheme: 'light' })");
    browser.wait_for(&light);
}

#[test]
fn findings_of_the_doctor_are_shown_and_lead_to_their_links() {
    let lab = Lab::new();
    stage(&lab, "ill");
    // Behind a tunnel may be anybody.
    lab.sh("ip link del vx0; ip -n ill1 route replace default via 10.1.0.77");
    let ui = Ui::start(&lab);
    let mut browser = Browser::open(&lab, ui.address(), "light");
    browser.run("await page.click('#tab-doctor')");
    let about = "[...document.querySelectorAll('.finding')].find((one) => one.textContent.includes('10.1.0.77'))";
    browser.wait_for(about);
    browser.run("await page.locator('.finding', { hasText: '10.1.0.77' }).locator('button').first().click()");
    browser.wait_for("document.querySelector('#details h2')?.textContent === 'eth0'");
    browser.wait_for(
        "document.querySelector('#details').textContent.includes('default via 10.1.0.77')",
    );
    assert_eq!(browser.run("return problems"), json!([]));
}

#[test]
fn the_page_outlives_a_restart_of_its_server() {
    let lab = Lab::new();
    lab.netns("kept1");
    let ui = Ui::start(&lab);
    let port = ui.port().to_owned();
    let mut browser = Browser::open(&lab, ui.address(), "light");
    let status =
        |status: &str| format!("document.querySelector('#status').dataset.status === '{status}'");
    browser.wait_for(&status("live"));
    ui.terminate();
    browser.wait_for(&status("offline"));
    lab.sh("ip link add while0 type bridge");
    let again = Ui::start_with(&lab, &["--listen", &format!("127.0.0.1:{port}")]);
    browser.wait_for(&status("live"));
    browser.wait_for("document.querySelector('#tree').textContent.includes('while0')");
    // Another token is not taken, and the page says so.
    again.terminate();
    lab.sh("rm /run/ui-token");
    let _other = Ui::start_with(&lab, &["--listen", &format!("127.0.0.1:{port}")]);
    browser.wait_for(&status("refused"));
}

#[test]
fn axe_finds_nothing_and_keys_reach_everything() {
    let lab = Lab::new();
    stage(&lab, "keys");
    let ui = Ui::start(&lab);
    for scheme in ["light", "dark"] {
        let mut browser = Browser::open(&lab, ui.address(), scheme);
        browser.wait_for("document.querySelectorAll('[role=treeitem]').length > 5");
        for tab in ["explain", "doctor", "changes", "list"] {
            browser.run(&format!("await page.click('#tab-{tab}')"));
            assert_eq!(browser.run("return await violations()"), json!([]), "{scheme} {tab}");
        }
        let walked = browser.run(
            "await page.keyboard.press('Tab');
             await page.focus('[role=treeitem][tabindex=\"0\"]');
             const names = [];
             for (const key of ['Home', 'ArrowDown', 'ArrowDown', 'ArrowUp', 'ArrowLeft', 'ArrowRight']) {
                 await page.keyboard.press(key);
                 names.push(await page.evaluate(() => document.activeElement.querySelector('.name').textContent));
             }
             await page.keyboard.press('Enter');
             return names",
        );
        let names: BTreeSet<&str> =
            walked.as_array().expect("names").iter().filter_map(Value::as_str).collect();
        assert!(names.iter().any(|name| name.starts_with("host")), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("lan0")), "{names:?}");
        browser.wait_for("!document.querySelector('#details').hidden");
        assert_eq!(browser.run("return await violations()"), json!([]), "{scheme} details");
        // Whoever is somewhere stays there while other things change.
        browser.run("await page.focus('#details .ends button:last-child')");
        lab.sh(&format!("ip link add other{scheme} type bridge"));
        browser.wait_for(&format!(
            "document.querySelector('#tree').textContent.includes('other{scheme}')"
        ));
        let focus =
            browser.run("return await page.evaluate(() => document.activeElement.textContent)");
        assert_eq!(focus, "Path to here");
        browser.run("await page.keyboard.press('Escape')");
        browser.wait_for("document.querySelector('#details').hidden");
        assert_eq!(browser.run("return problems"), json!([]), "{scheme}");
    }
}

#[test]
fn who_does_not_know_the_token_sees_nothing() {
    let lab = Lab::new();
    let ui = Ui::start(&lab);
    let (origin, token) = (ui.origin(), ui.token());
    let status = |arguments: &str| {
        lab.sh(&format!("curl -s -o /dev/null -w '%{{http_code}}' --compressed {arguments}"))
    };
    let known = format!("-H 'Authorization: Bearer {token}'");
    assert_eq!(status(&format!("{origin}/")), "401");
    assert_eq!(status(&format!("{origin}/page.js")), "401");
    assert_eq!(status(&format!("{origin}/api/topology")), "401");
    assert_eq!(status(&format!("{origin}/?token=wrong")), "401");
    assert_eq!(
        status(&format!("-H 'Cookie: ropewalk-{}=wrong' {origin}/api/topology", ui.port())),
        "401"
    );
    assert_eq!(status(&format!("{known} {origin}/api/topology")), "200");
    assert_eq!(status(&format!("{known} {origin}/")), "200");
    assert_eq!(status(&format!("{known} -H 'Host: evil.example' {origin}/api/topology")), "403");
    assert_eq!(
        status(&format!("{known} -H 'Origin: http://evil.example' {origin}/api/topology")),
        "403"
    );
    assert_eq!(
        status(&format!("{known} -H 'Sec-Fetch-Site: cross-site' {origin}/api/topology")),
        "403"
    );
    assert_eq!(status(&format!("{known} -X POST {origin}/api/topology")), "405");
    let head = lab.sh(&format!("curl -s -D - -o /dev/null --compressed {known} {origin}/"));
    assert!(head.contains("content-security-policy: default-src 'none';"), "{head}");
    assert_eq!(lab.mode("/run/ui-token"), 0o600);
}

#[test]
fn from_elsewhere_it_is_served_through_tls_alone() {
    let lab = Lab::new();
    let command = command_path().display().to_string();
    let refused = lab.try_sh(&format!("{command} ui --listen 0.0.0.0:0 --token-file /run/token"));
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.stderr.contains("without TLS"), "{refused}");
    lab.sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
         -subj /CN=host -addext subjectAltName=IP:10.8.0.1 -keyout /run/key.pem -out /run/cert.pem 2>/dev/null
         ip link add wide0 type bridge && ip link set wide0 up && ip address add 10.8.0.1/24 dev wide0");
    let tls =
        ["--listen", "10.8.0.1:0", "--tls-cert", "/run/cert.pem", "--tls-key", "/run/key.pem"];
    let ui = Ui::start_with(&lab, &tls);
    assert!(ui.address().starts_with("https://10.8.0.1:"), "{}", ui.address());
    let ask = format!("curl -s --cacert /run/cert.pem {}/api/topology", ui.origin());
    assert!(lab.sh(&ask).contains("token"), "it answers nobody");
    let known = lab.sh(&format!("{ask} -H 'Authorization: Bearer {}'", ui.token()));
    let state: Value = known.parse().expect("JSON");
    assert_eq!(state["spaces"][0]["own"], true);
    let mut browser = Browser::open(&lab, ui.address(), "light");
    browser.wait_for("document.querySelector('#status').dataset.status === 'live'");
}
