//! Every reader of the survey, for messages that nobody would send. It must only read.

use super::{bridges, connections, filter, layer3, links, next_hops, objects, qdiscs};
use crate::netlink::Reply;

/// Feeds all readers.
pub(crate) fn read_all(reply: &Reply<'_>) {
    let _ = links::read(reply);
    let _ = layer3::read_address(reply);
    let _ = layer3::read_route(reply);
    let _ = layer3::read_rule(reply);
    let _ = layer3::read_neighbour(reply);
    let _ = next_hops::read(reply);
    let _ = bridges::read_entry(reply);
    let _ = bridges::read_vlans(reply);
    let _ = qdiscs::read(reply);
    let _ = qdiscs::read_class(reply);
    let _ = qdiscs::read_filter(reply);
    let _ = connections::read(reply);
    filter::read_all(reply);
    let _ = objects::read_object(reply);
    let _ = objects::read_flow_table(reply);
}
