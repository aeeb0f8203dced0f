// The fast path of a bridge: what a container sends to another one on the same bridge goes from
// the host's end of its pair straight into the other's interface.
//
// It is what the bridge would do with a unicast frame, done earlier: a table of MAC addresses
// decides. Whatever it is not sure of, it leaves to the bridge. Elements of the table go with the
// link that they name, so that none ever leads to another container.

typedef unsigned char u8;
typedef unsigned int u32;

#define SECTION(name) __attribute__((section(name), used))

// The start of `struct __sk_buff`, see linux/bpf.h; declared here so that clang alone is needed.
struct packet {
    u32 length, type, mark, queue, protocol;
    u32 has_vlan, vlan, vlan_protocol;
    u32 priority, ingress_link, link, traffic_index, control[5], hash, class;
    u32 data, data_end;
};

struct bpf_map_def {
    u32 type, key_size, value_size, max_entries, map_flags;
};

// From the last four bytes of a MAC to the link of the host that leads there. A bridge has no more
// than 1024 ports.
SECTION("maps") struct bpf_map_def ports = {
    .type = 25, // BPF_MAP_TYPE_DEVMAP_HASH
    .key_size = 4,
    .value_size = 4,
    .max_entries = 1024,
};

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_redirect_peer)(u32 link, unsigned long long flags) = (void *)155;

enum { PASS = -1, ETHERNET_HEADER = 14 }; // TC_ACT_UNSPEC: what would be without this program

SECTION("classifier") int fast_path(struct packet *packet)
{
    const u8 *frame = (const u8 *)(long)packet->data;
    const u8 *end = (const u8 *)(long)packet->data_end;
    if (frame + ETHERNET_HEADER > end || packet->has_vlan)
        return PASS;
    // How the MAC of a container on a fast path begins; its other bytes follow from its owner.
    if (frame[0] != 0x0e || frame[1] != 0x72)
        return PASS;
    // IPv4 and IPv6. From ARP the bridge learns who is where.
    if (!(frame[12] == 0x08 && frame[13] == 0x00) && !(frame[12] == 0x86 && frame[13] == 0xdd))
        return PASS;
    u32 key;
    __builtin_memcpy(&key, frame + 2, sizeof key);
    const u32 *port = bpf_map_lookup_elem(&ports, &key);
    if (!port || *port == packet->link)
        return PASS;
    return bpf_redirect_peer(*port, 0);
}

SECTION("license") const char terms[] = "Apache-2.0";
