//! Who holds a lease, and how a file tells it. It never looks into a directory.

/// Who holds a lease. Very old reservations name the container only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// CNI container id.
    pub container: String,
    /// Interface name; `None` in a reservation made before interfaces were recorded.
    pub interface: Option<String>,
}

impl Holder {
    /// A container's interface.
    pub fn new(container: &str, interface: &str) -> Self {
        Self { container: container.to_owned(), interface: Some(interface.to_owned()) }
    }

    /// Reads a reservation file. Anything that is not two lines is taken as a container id, so
    /// that a damaged file belongs to nobody rather than to somebody else.
    pub(crate) fn parse(content: &str) -> Self {
        let content = content.trim();
        match content.split_once("\r\n") {
            Some((container, interface)) => Self::new(container, interface),
            None => Self { container: content.to_owned(), interface: None },
        }
    }

    /// Whether a reservation of `self` is one of `asking`.
    pub(crate) fn is(&self, asking: &Self) -> bool {
        self.container == asking.container
            && (self.interface.is_none() || self.interface == asking.interface)
    }

    /// Whether a reservation of `self` may be what damage has left of one of `other`: a part of it,
    /// or nothing that anybody would have written.
    pub(crate) fn may_have_been(&self, other: &Self) -> bool {
        let is_name = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        let parts = [&self.container, self.interface.as_ref().unwrap_or(&self.container)];
        !parts.into_iter().all(|part| is_name(part)) || other.text().starts_with(&self.text())
    }

    /// What a reservation says.
    pub(crate) fn text(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{}\r\n{interface}", self.container),
            None => self.container.clone(),
        }
    }
}
