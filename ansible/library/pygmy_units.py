#!/usr/bin/python
"""Tells which systemd units do not run with the files that are there now.

A play that is interrupted between writing a file and restarting the service must not lose the restart, so no handler can be what
remembers it. Instead a mark per unit, below /var/lib/pygmy-applied, has the time of the files with which the unit was last started or
reloaded; a file that was changed later (ctime: nothing but the kernel sets it) makes the unit stale. The mark is set after the unit
has been found ready.
"""

import glob
import os

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: pygmy_units
short_description: Tells which units do not run with their present files
description:
  - With I(state=checked), tells which units have to be started, restarted or reloaded, and why. Changes nothing.
  - With I(state=applied), remembers that the units run with the files as they were at the time I(at).
options:
  units:
    description: The units. Each has a name, and lists of files (or patterns) after whose change it has to be restarted or reloaded.
    type: list
    elements: dict
    required: true
  state:
    description: What to do.
    choices: [checked, applied]
    default: checked
    type: str
  at:
    description: With I(state=applied), what the check returned as C(now_ns).
    type: str
"""

EXAMPLES = r"""
- name: See what does not run with its present files
  pygmy_units:
    units:
      - {name: pygmy-etcd.service, restart: [/etc/pygmy/etcd.env], reload: []}
"""

RETURN = r"""
start:
  description: Units that do not run.
  type: list
restart:
  description: Units that run and whose files for a restart are newer.
  type: list
reload:
  description: Units that run and whose files for a reload are newer.
  type: list
stale:
  description: All of these.
  type: list
why:
  description: A line for each.
  type: list
now_ns:
  description: The time of the check.
  type: str
"""

MARKS = '/var/lib/pygmy-applied'


def changed_after(patterns, mark_ns):
    """The files of the patterns that were changed after the mark."""
    found = []
    for pattern in patterns:
        for path in sorted(glob.glob(pattern)):
            if os.stat(path).st_ctime_ns > mark_ns:
                found.append(path)
    return found


def mark_of(unit):
    return os.path.join(MARKS, unit)


def read_mark(unit):
    """When the unit was last known to run with its files; 0: never."""
    try:
        return os.stat(mark_of(unit)).st_mtime_ns
    except FileNotFoundError:
        return 0


def is_active(module, unit):
    code, unused_out, unused_error = module.run_command(['systemctl', 'is-active', '--quiet', unit])
    return code == 0


def now_ns(module):
    """The time as files get it: that of a file made now."""
    path = os.path.join(module.tmpdir, 'now')
    with open(path, 'w', encoding='ascii'):
        pass
    return os.stat(path).st_mtime_ns


def check(module):
    result = {'start': [], 'restart': [], 'reload': [], 'why': [], 'now_ns': str(now_ns(module)), 'changed': False}
    for unit in module.params['units']:
        name = unit['name']
        if not is_active(module, name):
            result['start'].append(name)
            result['why'].append('%s does not run' % name)
            continue
        mark = read_mark(name)
        for action in ('restart', 'reload'):
            files = changed_after(unit.get(action, []), mark)
            if files:
                result[action].append(name)
                result['why'].append('%s runs without the present %s' % (name, ', '.join(files)))
                break
    result['stale'] = result['start'] + result['restart'] + result['reload']
    return result


def apply(module):
    at_ns = int(module.params['at'])
    os.makedirs(MARKS, mode=0o755, exist_ok=True)
    for unit in module.params['units']:
        path = mark_of(unit['name'])
        with open(path, 'a', encoding='ascii'):
            pass
        os.utime(path, ns=(at_ns, at_ns))
    return {'changed': False}


def main():
    module = AnsibleModule(
        argument_spec={
            'units': {'type': 'list', 'elements': 'dict', 'required': True},
            'state': {'type': 'str', 'choices': ['checked', 'applied'], 'default': 'checked'},
            'at': {'type': 'str'},
        },
        required_if=[('state', 'applied', ['at'])],
        supports_check_mode=True,
    )
    if module.params['state'] == 'checked':
        module.exit_json(**check(module))
    module.exit_json(**({'changed': False} if module.check_mode else apply(module)))


if __name__ == '__main__':
    main()
