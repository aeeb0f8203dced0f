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
    device::{Attachment, Device, Firewalld, Given},
    table::{self, Kind},
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
    let (ours, ours_given) = read(name, &mut kernel, environment, stdin)?;
    // What firewalld has is the same in both forms.
    if ours_given.facts.firewalld == Firewalld::Running {
        return Ok(None);
    }
    let mut as_reference = stdin.clone();
    as_reference[key] = json!("iptables");
    let (reference, reference_given) = read(name, &mut kernel, environment, &as_reference)?;
    let attachment = Attachment::of(&request(environment, stdin, name)?)?;
    let ours = packet_filter(&ours.declare(&attachment, &ours_given)?);
    let reference = packet_filter(&reference.declare(&attachment, &reference_given)?);
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

fn request(environment: &Environment, stdin: &Value, name: &str) -> Result<Request, CniError> {
    let versions = table::find(name).map(|plugin| plugin.versions).unwrap_or_default();
    Request::parse(environment.clone(), stdin.to_string().as_bytes(), versions)
}

fn read(
    name: &str,
    kernel: &mut Linux,
    environment: &Environment,
    stdin: &Value,
) -> Result<(Box<dyn Device>, Given), CniError> {
    let request = request(environment, stdin, name)?;
    let Some(Kind::Device(load)) = table::find(name).map(|plugin| &plugin.kind) else {
        return Err(CniError::internal(format!("{name} has no rules")));
    };
    let device = load(&request)?;
    let previous = ropewalk_cni::prev_result(&request.raw)?;
    let given = known_before(&*device, kernel, &Attachment::of(&request)?, previous);
    Ok((device, given))
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
