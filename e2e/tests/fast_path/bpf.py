# What bpf(2) tells of the programs at a link, for tests: `programs LINK` and `elements LINK` print a
# line each, `detach LINK` and `remove LINK` take them away.
import ctypes, os, platform, re, struct, subprocess, sys

CALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    answer = libc.syscall(CALL, command, buffer, len(attributes))
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer, buffer.raw


def programs(link):
    shown = subprocess.run(["tc", "filter", "show", "dev", link, "ingress"], capture_output=True, text=True)
    for line in shown.stdout.splitlines():
        name, number = re.search(r" handle 0x1 (\S+) ", line), re.search(r" id (\d+) ", line)
        if name and number:
            yield int(number[1]), name[1]


def map_of(program):
    descriptor = bpf(13, struct.pack("III", program, 0, 0))[0]
    maps, info = (ctypes.c_uint * 4)(), ctypes.create_string_buffer(80)
    struct.pack_into("I", info, 52, 4)
    struct.pack_into("Q", info, 56, ctypes.addressof(maps))
    bpf(15, struct.pack("IIQ", descriptor, 80, ctypes.addressof(info)))
    return bpf(14, struct.pack("III", maps[0], 0, 0))[0]


def elements(link):
    for number, _ in programs(link):
        table = map_of(number)
        key, after, value = (ctypes.create_string_buffer(4) for _ in range(3))
        start = 0
        while True:
            asked = struct.pack("IIQQ", table, 0, start, ctypes.addressof(after))
            try:
                bpf(4, asked)
            except FileNotFoundError:
                return
            key.raw, start = after.raw, ctypes.addressof(key)
            bpf(1, struct.pack("IIQQQ", table, 0, start, ctypes.addressof(value), 0))
            yield table, key, struct.unpack("I", value.raw)[0]


verb, link = sys.argv[1:]
if verb == "programs":
    for number, name in programs(link):
        print(name, number)
elif verb == "elements":
    for _, key, target in elements(link):
        print(key.raw.hex(), target)
elif verb == "detach":
    subprocess.run(["tc", "filter", "del", "dev", link, "ingress"], check=True)
elif verb == "remove":
    for table, key, _ in list(elements(link)):
        bpf(3, struct.pack("IIQ", table, 0, ctypes.addressof(key)))
