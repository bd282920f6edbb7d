# memory_keys.py PID NAME=HEX... auth=TEXT: every place in the memory of a process that holds a secret, as text, hex or raw bytes,
# forward and backward (as a number of a library lies).
# Exits 1 when one of them lies in memory that may be swapped out or dumped, or when a secret is not found at all.
import re, sys

pid, forms = sys.argv[1], []
for arg in sys.argv[2:]:
    name, value = arg.split("=", 1)
    forms.append((name, "text", value.encode()))
    if name != "auth":
        forms.append((name, "raw", bytes.fromhex(value)))
        forms.append((name, "number", bytes.fromhex(value)[::-1]))
areas = []
for line in open(f"/proc/{pid}/smaps"):
    m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line)
    if m:
        areas.append([int(m[1], 16), int(m[2], 16), m[4].strip(), []])
    elif line.startswith("VmFlags:"):
        areas[-1][3] = line.split()[1:]
mem = open(f"/proc/{pid}/mem", "rb", 0)
seen, bad = {}, 0
for lo, hi, path, flags in areas:
    try:
        mem.seek(lo)
        data = mem.read(hi - lo)
    except (OSError, OverflowError):  # kernel pages
        continue
    for name, form, secret in forms:
        for m in re.finditer(re.escape(secret), data):
            seen[name] = seen.get(name, 0) + 1
            if "lo" not in flags or "dd" not in flags:
                print(f"{name} key as {form} at {lo + m.start():x}, {path or 'anonymous'}, {' '.join(flags)}")
                bad = 1
for arg in sys.argv[2:]:
    name = arg.split("=", 1)[0]
    if name not in seen:
        print(f"the {name} key is nowhere in memory: what is searched for is wrong")
        bad = 1
print("figure: places in locked memory: " + ", ".join(f"{n} {c}" for n, c in seen.items()))
sys.exit(bad)
