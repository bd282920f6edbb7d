#!/usr/bin/env python3
"""Every value of the chart with odd contents: refused with its name, or rendered into DIR, one file each, for an API server to judge.

   chart_values.py HELM CHART DIR
"""
import json, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import yaml

HELM, CHART, DIR = sys.argv[1], sys.argv[2], Path(sys.argv[3])
TEXT = 'a"b\nc: {d'
ODD = {
    str: [None, 7, [], TEXT, '-', 'x' * 300],
    bool: [None, 'true', 1, TEXT],
    int: [None, -1, 0, 1.5, '7', 99999],
    list: [None, TEXT, [TEXT], [7], {'a': 'b'}],
    dict: [None, TEXT, ['x'], {'a': 'b'}, {'a': TEXT}, {'a': {'b': []}}],
}
# what a value needs beside it to be looked at
PARTS = [{}, {'coordinator': {'enabled': True}}, {'cni': {'enabled': True, 'namespaces': ['apps'], 'authKey': 'k'}}]


def walk(values, path=()):
    for key, value in values.items():
        yield path + (key,), value
        if isinstance(value, dict):
            yield from walk(value, path + (key,))


def base_of(path):
    base = json.loads(json.dumps(PARTS[1 if path[0] == 'coordinator' else 2 if path[0] == 'cni' else 0]))
    if path[0] == 'oauth':
        base['oauth'] = {'clientId': 'a', 'clientSecret': 'b'}
    elif path[0] == 'serviceMonitor':
        base['serviceMonitor'] = {'enabled': True}
    if path[0] not in ('oauth', 'oauthSecretVolume', 'coordinator') and path[:2] != ('credentials', 'existingSecret'):
        base['credentials'] = {'apiKey': 'x'}
    if path == ('cni', 'existingSecret'):
        del base['cni']['authKey']
    return base


def put(base, path, value):
    at = base
    for key in path[:-1]:
        at = at.setdefault(key, {})
    at[path[-1]] = value
    return base


def render(name, values):
    file = DIR / (name + '.values')
    file.write_text(json.dumps(values))
    p = subprocess.run([HELM, 'template', 'op', CHART, '-n', 'machine', '--kube-version', '1.35.0', '-f', file], capture_output=True, text=True)
    return p.returncode, p.stdout, p.stderr


def objects(text):
    return [json.dumps(o, sort_keys=True) for o in yaml.safe_load_all(text) if o]


def trial(job):
    n, path, value = job
    name = '%s.%d' % ('.'.join(path).replace('/', '_'), n)
    code, out, words = render(name, put(base_of(path), path, value))
    if code:
        named = "at '/" + '/'.join(p.replace('/', '~1') for p in path), f"missing property '{path[-1]}'", '.'.join(path), 'is needed'
        if not any(n in words for n in named) or 'nil pointer' in words or 'YAML parse' in words:
            return f'{".".join(path)}={json.dumps(value)}: {words.strip()}'
        return ''
    changed = [o for o in objects(out) if o not in usual[path[0]]]
    if changed:
        (DIR / (name + '.yaml')).write_text('\n---\n'.join(changed))
    return None


values = list(walk(yaml.safe_load(open(CHART + '/values.yaml'))))
usual = {p[0]: set(objects(render('usual', base_of(p))[1])) for p, _ in values if len(p) == 1 and p[0] not in ('oauthSecretVolume', 'oauth', 'credentials')}
usual['oauthSecretVolume'] = usual['oauth'] = usual['credentials'] = set(usual['loginServer'])
jobs = [(i, p, o) for p, v in values for i, o in enumerate(ODD[type(v)])]
with ThreadPoolExecutor(2) as pool:
    results = list(pool.map(trial, jobs))
bad = [r for r in results if r]
print(f'{len(jobs)} trials, {len([r for r in results if r is not None])} refused, {len(list(DIR.glob("*.yaml")))} rendered otherwise than usual')
print(*bad, sep='\n')
sys.exit(1 if bad else 0)
