//! Putting the packet filter rules of an attachment that exists into another form: that of the
//! reference plugins, so that they can delete it, or ours. What is made is made before the other
//! form goes, so that there is no moment without rules.

use ropewalk_cni::{CniError, Environment, Request};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, Lifetime, Step,
    converge::{self, ConvergeError},
};
use serde_json::{Value, json};

use crate::{
    device::{Attachment, Firewalld},
    table::{self, Kind, Plugin},
    texts,
    verbs::known_before,
};

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// What the configuration asks for; nftables where it does not say.
    Ours,
    /// What the reference plugins make and delete: iptables.
    Reference,
}

/// The steps that [`hand_over`] would do. `None` for a plugin that has no rules in two forms.
pub fn preview_hand_over(
    name: &str,
    form: Form,
    environment: &Environment,
    stdin: &Value,
) -> Result<Option<Vec<Step>>, CniError> {
    with_forms(name, form, environment, stdin, converge::preview_exchange)
}

/// Puts the rules that one plugin made for an attachment into another form. The environment and
/// configuration are those of a DEL, with the attachment's result as `prevResult`.
pub fn hand_over(
    name: &str,
    form: Form,
    environment: &Environment,
    stdin: &Value,
) -> Result<Option<Vec<Step>>, CniError> {
    with_forms(name, form, environment, stdin, converge::exchange)
}

fn with_forms(
    name: &str,
    form: Form,
    environment: &Environment,
    stdin: &Value,
    act: impl FnOnce(
        &mut dyn ropewalk_netstate::Kernel,
        &Desired,
        &Desired,
    ) -> Result<Vec<Step>, ConvergeError>,
) -> Result<Option<Vec<Step>>, CniError> {
    let Some(key) = backend_key(name) else { return Ok(None) };
    let mut kernel = Linux::with_missing_sandbox();
    // What firewalld has is the same in both forms.
    let Some(ours) = rules(name, &mut kernel, environment, stdin)? else { return Ok(None) };
    let mut as_reference = stdin.clone();
    as_reference[key] = json!("iptables");
    let reference = rules(name, &mut kernel, environment, &as_reference)?;
    let Some(reference) = reference else { return Ok(None) };
    let (wanted, other) = match form {
        Form::Ours => (ours, reference),
        Form::Reference => (reference, ours),
    };
    let other = without(&other, &wanted);
    act(&mut kernel, &wanted, &other).map(Some).map_err(texts::converge_error)
}

/// The key that chooses iptables.
fn backend_key(name: &str) -> Option<&'static str> {
    match name {
        "bridge" | "ptp" => Some("ipMasqBackend"),
        "firewall" | "portmap" => Some("backend"),
        _ => None,
    }
}

/// The rules that a plugin declares; `None` if firewalld has them.
fn rules(
    name: &str,
    kernel: &mut Linux,
    environment: &Environment,
    stdin: &Value,
) -> Result<Option<Desired>, CniError> {
    let Some(Plugin { kind: Kind::Device(load), versions, .. }) = table::find(name) else {
        return Err(CniError::internal(format!("{name} has no rules")));
    };
    let request = Request::parse(environment.clone(), stdin.to_string().as_bytes(), versions)?;
    let device = load(&request)?;
    let previous = ropewalk_cni::prev_result(&request.raw)?;
    let attachment = Attachment::of(&request)?;
    let facts = device.facts(kernel, &attachment, previous.as_ref());
    let given = known_before(&*device, &attachment, previous, facts);
    if given.facts.firewalld == Firewalld::Running {
        return Ok(None);
    }
    Ok(Some(packet_filter(&device.declare(&attachment, &given)?)))
}

/// What of a state is rules.
fn packet_filter(desired: &Desired) -> Desired {
    let mut rules = Desired::new();
    for item in desired.items().iter().filter(|item| item.resource.is_packet_filter()) {
        rules.push(item.place, item.lifetime, item.resource.clone());
    }
    rules
}

/// What the attachment owns in one form and not in the other.
fn without(this: &Desired, that: &Desired) -> Desired {
    let mut rest = Desired::new();
    for item in this.items() {
        let key = item.resource.key();
        let is_in_both = that
            .items()
            .iter()
            .any(|other| other.lifetime != Lifetime::Predecessor && other.resource.key() == key);
        if item.lifetime == Lifetime::Attachment && !is_in_both {
            rest.push(item.place, Lifetime::Attachment, item.resource.clone());
        }
    }
    rest
}
