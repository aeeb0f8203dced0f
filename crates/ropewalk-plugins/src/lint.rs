//! What is wrong or unknown in a plugin's configuration, without running it.

use ropewalk_cni::Fields;
use serde_json::Value;

use crate::{
    config,
    describe::{self, Class, Description},
};

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemarkKind {
    /// The plugin would refuse the configuration.
    Error,
    /// The plugin does not know the key: a misspelling, or meant for somebody else.
    UnknownKey,
}

/// One remark on a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// How much it matters.
    pub kind: RemarkKind,
    /// Where, as `ipam.ranges[0][0].subnet`.
    pub path: String,
    /// What.
    pub message: String,
}

/// Remarks on the configuration object of one plugin; `None` for a plugin that is not ours.
pub fn lint(plugin: &str, configuration: &Value) -> Option<Vec<Remark>> {
    let description = describe::find(plugin)?;
    let fields = Fields::new(configuration, "");
    read(description, &fields);
    let delegate = config::ipam_type(&fields).filter(|delegate| delegate != plugin);
    let known = delegate.as_deref().and_then(describe::find);
    if let Some(delegate) = known.filter(|known| known.class == Class::Addresses) {
        read(delegate, &fields);
    }
    // Another program's keys are its own.
    let foreign_ipam = delegate.is_some() && known.is_none();
    let errors = fields.finish().err().unwrap_or_default().into_iter().map(|error| Remark {
        kind: RemarkKind::Error,
        path: error.path,
        message: error.message,
    });
    let unknown = fields.unknown_keys().into_iter();
    let unknown = unknown.filter(|path| !(foreign_ipam && path.starts_with("ipam.")));
    let asked = fields.asked_keys();
    let unknown = unknown.map(|path| {
        let (object, key) = path.rsplit_once('.').unwrap_or(("", &path));
        let beside = asked.iter().filter_map(|known| match known.rsplit_once('.') {
            Some((other, known)) => (other == object).then_some(known),
            None => object.is_empty().then_some(known.as_str()),
        });
        let reader = delegate.as_deref().filter(|_| path.starts_with("ipam.")).unwrap_or(plugin);
        let message = format!("{reader} does not know this key{}", suggestion(key, beside));
        Remark { kind: RemarkKind::UnknownKey, message, path }
    });
    Some(errors.chain(unknown).collect())
}

/// Asks for every key that a plugin reads.
pub(crate) fn read(description: &Description, fields: &Fields<'_>) {
    config::allow_common(fields);
    (description.read)(fields);
}

/// `; did you mean …?` with the known word that a wrong one is nearest to; nothing if none is near.
pub fn suggestion<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    let wrong = wrong.to_ascii_lowercase();
    let measured = known.map(|known| (distance(&wrong, &known.to_ascii_lowercase()), known));
    // A third of the letters may be wrong; more is another word.
    let near = measured.filter(|(distance, _)| distance * 3 <= wrong.len());
    let nearest = near.min().map(|(_, known)| format!("; did you mean {known}?"));
    nearest.unwrap_or_default()
}

/// How many letters have to be put in, taken out or changed to make one word of the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for letter in from.chars() {
        let mut diagonal = row[0];
        row[0] += 1;
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_others_are_not() {
        let known = ["isGateway", "isDefaultGateway", "mtu", "vlan", "ipam"];
        let suggest = |wrong| suggestion(wrong, known.into_iter());
        assert_eq!(suggest("isgatway"), "; did you mean isGateway?");
        assert_eq!(suggest("defaultGateway"), "; did you mean isDefaultGateway?");
        assert_eq!(suggest("mtus"), "; did you mean mtu?");
        assert_eq!(suggest("vxlan-id"), "");
        assert_eq!(suggest("x"), "");
    }

    #[test]
    fn distances_count_letters() {
        for (from, to, expected) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("bridg", "bridge", 1),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn a_misspelt_key_is_suggested_beside_it_alone() {
        let configuration = serde_json::json!({
            "type": "bridge", "isGatway": true, "subnt": 1,
            "ipam": {"type": "host-local", "subnt": "10.0.0.0/8", "subnet": "10.0.0.0/24"},
        });
        let remarks = lint("bridge", &configuration).unwrap();
        let lines: Vec<_> = remarks.iter().map(|r| format!("{}: {}", r.path, r.message)).collect();
        assert_eq!(
            lines,
            [
                "isGatway: bridge does not know this key; did you mean isGateway?",
                "subnt: bridge does not know this key",
                "ipam.subnt: host-local does not know this key; did you mean subnet?",
            ]
        );
    }
}
