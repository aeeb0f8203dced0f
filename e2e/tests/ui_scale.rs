//! The page of `ropewalk ui` for a host with a thousand containers, measured in the browser.
//!
//! It must never run beside other tests, which would be measured too.

use std::time::Duration;

use ropewalk_e2e::{Browser, Lab, Ui, patience};

/// Frames in a second that are smooth.
const ENOUGH: f64 = 30.0;

/// How often the drawing is drawn while it is moved.
fn frames_in_a_second(browser: &mut Browser, scale: u32) -> f64 {
    let frames = browser.run(&format!(
        "return await page.evaluate(async () => {{
             const {{ drawing }} = window.ropewalk;
             drawing.fit();
             drawing.scaleBy({scale});
             const begun = performance.now();
             let frames = 0;
             for (; performance.now() - begun < 2000; frames += 1) {{
                 drawing.panBy(Math.sin(frames / 9) * 25, Math.cos(frames / 9) * 25);
                 await new Promise(requestAnimationFrame);
             }}
             return frames / ((performance.now() - begun) / 1000);
         }})"
    ));
    frames.as_f64().expect("a number")
}

#[test]
fn a_thousand_containers_are_drawn_in_two_seconds_and_move_smoothly() {
    let lab = Lab::new();
    lab.sh("{ for number in $(seq 1000); do echo netns add n$number; done; } | ip -batch -
         ip link add b0 type bridge && ip link set b0 up && ip address add 10.2.0.1/16 dev b0
         for number in $(seq 1000); do
             echo link add v$number type veth peer name eth0 netns n$number
             echo link set v$number master b0 up
         done | ip -batch -");
    let ui = Ui::start(&lab);
    let mut browser = Browser::open(&lab, ui.address(), "light");
    let drawn = browser.run(
        "await page.reload();
         return await page.evaluate(async () => {
             const isThere = () => window.ropewalk?.store.spaces.size > 1000 && document.querySelector('[role=treeitem]');
             while (!isThere()) await new Promise(requestAnimationFrame);
             await new Promise(requestAnimationFrame);
             return performance.now();
         })",
    );
    let drawn = Duration::from_secs_f64(drawn.as_f64().expect("milliseconds") / 1000.0);
    assert!(drawn < patience(Duration::from_secs(2)), "it took {drawn:?}");
    // As a whole, where names can be read, and near.
    for scale in [1, 4, 8] {
        // What others take of the processors is not the page's: the best of some tries is.
        let mut frames = 0.0;
        for _ in 0..5 {
            frames = f64::max(frames, frames_in_a_second(&mut browser, scale));
            if frames > ENOUGH {
                break;
            }
        }
        eprintln!("drawn after {drawn:?}, at scale {scale}: {frames:.0} frames in a second");
        assert!(frames > ENOUGH, "at scale {scale}: {frames} frames in a second");
    }
    // A container is found by name, however many there are.
    browser.run("await page.fill('#search', 'n777')");
    browser.wait_for("[...document.querySelectorAll('[role=treeitem]')].some((item) => item.querySelector('.name').textContent === 'n777')");
    drop(browser);
    drop(ui);
    lab.sh("for number in $(seq 1000); do echo netns del n$number; done | ip -batch -");
}
