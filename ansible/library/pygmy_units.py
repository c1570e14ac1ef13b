#!/usr/bin/python
"""Makes systemd units run with the files that are there now, and waits until they are ready.

A play that is interrupted between writing a file and restarting the service must not lose the restart, so no handler can be what
remembers it. Instead a mark per unit, below /var/lib/pygmy-applied, has the time of the files with which the unit was last started or
reloaded and found ready; a file that was changed later (ctime: nothing but the kernel sets it) makes the unit stale.
"""

import glob
import os
import re
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: pygmy_units
short_description: Makes systemd units run with their present files
description:
  - Starts units that do not run, restarts or reloads those that run without their present files, enables those that are not enabled,
    and waits until what they serve is ready. What is in order is left alone, and so is everything in check mode.
options:
  units:
    description:
      - The units, in the order in which they start. Each has a name, and lists of files (or patterns) after whose change it has to be
        restarted (restart) or reloaded (reload). With wait=false nobody waits for systemd to call it started.
    type: list
    elements: dict
    required: true
  together:
    description: When one of the units has to be restarted, all are, the last one of them ending first.
    type: bool
    default: false
  before:
    description: A command before something that runs is restarted.
    type: list
    elements: str
    default: []
  before_seconds:
    description: How long its effect takes.
    type: int
    default: 0
  after:
    description: A command after that, when all is ready.
    type: list
    elements: str
    default: []
  unless:
    description: A command, and a pattern (match) that its output has when command C(then) is not needed once the units run.
    type: dict
  then:
    description: See I(unless). It is tried again until it succeeds.
    type: list
    elements: str
    default: []
  ready:
    description: Commands, each with a pattern (match) that its output has when what it asks is ready.
    type: list
    elements: dict
    default: []
  seconds:
    description: How long all may take until it is ready.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Bring up etcd
  pygmy_units:
    units:
      - {name: pygmy-etcd.service, restart: [/etc/pygmy/etcd.env]}
    ready:
      - {command: [curl, "http://127.0.0.1:2379/health"], match: '"true"'}
"""

RETURN = r"""
why:
  description: A line for each unit that was not as it should be.
  type: list
"""

MARKS = '/var/lib/pygmy-applied'
POLL_SECONDS = 0.5


def now_ns():
    """The time as files get it: that of a file made now."""
    with tempfile.TemporaryFile() as file:
        return os.fstat(file.fileno()).st_mtime_ns


def changed_after(patterns, mark_ns):
    """The files of the patterns that were changed after the mark."""
    paths = [path for pattern in patterns for path in sorted(glob.glob(pattern))]
    return [path for path in paths if os.stat(path).st_ctime_ns > mark_ns]


def read_mark(unit):
    """When the unit was last known to run with its files; 0: never."""
    try:
        return os.stat(os.path.join(MARKS, unit)).st_mtime_ns
    except FileNotFoundError:
        return 0


def set_marks(units, at_ns):
    os.makedirs(MARKS, mode=0o755, exist_ok=True)
    for unit in units:
        path = os.path.join(MARKS, unit['name'])
        with open(path, 'a', encoding='ascii'):
            pass
        os.utime(path, ns=(at_ns, at_ns))


class Units:
    """What has to be done with which unit."""

    def __init__(self, module):
        self.module = module
        self.units = module.params['units']
        self.start, self.restart, self.reload, self.enable, self.why = [], [], [], [], []
        for unit in self.units:
            self.look_at(unit)
        if module.params['together'] and self.restart:
            # (Not pygmy.target, for one: everything of the machine ends with it, etcd and the public socket too.)
            running = [unit['name'] for unit in self.units if unit.get('restart') and unit['name'] not in self.start]
            self.restart, self.reload = running, []

    def systemctl(self, *words):
        return self.module.run_command(['systemctl'] + list(words))

    def look_at(self, unit):
        name = unit['name']
        if self.systemctl('is-enabled', '--quiet', name)[0] != 0:
            self.enable.append(name)
            self.why.append('%s is not started at boot' % name)
        state = self.systemctl('is-active', name)[1].strip()
        if state not in ('active', 'activating', 'reloading'):
            self.start.append(name)
            self.why.append('%s does not run' % name)
            return
        mark = read_mark(name)
        for action, names in (('restart', self.restart), ('reload', self.reload)):
            files = changed_after(unit.get(action, []), mark)
            if files:
                names.append(name)
                self.why.append('%s runs without the present %s' % (name, ', '.join(files)))
                return

    def must(self, *words):
        code, unused_out, error = self.systemctl(*words)
        if code != 0:
            last = self.module.run_command(['journalctl', '--no-pager', '--lines=15', '--output=cat', '--unit', words[-1]])[1]
            self.module.fail_json(msg='systemctl %s: %s\n%s' % (' '.join(words), error.strip(), last), why=self.why)

    def apply(self):
        self.must('daemon-reload')
        if self.enable:
            self.must('enable', '--quiet', *self.enable)
        ordered = [unit['name'] for unit in self.units]
        for name in reversed(ordered):
            if name in self.restart:
                self.must('stop', name)
        for unit in self.units:
            name = unit['name']
            if name in self.reload:
                self.must('reload', name)
            elif name in self.start or name in self.restart:
                self.must('start', *([] if unit.get('wait', True) else ['--no-block']), name)


def wait_for(module, command, match, deadline, why):
    """Until the output of the command (empty: its success) matches."""
    while True:
        code, out, error = module.run_command(command)
        if re.search(match, out) if match else code == 0:
            return
        if time.monotonic() >= deadline:
            module.fail_json(msg='Not ready after %d s: %s\n%s%s' % (module.params['seconds'], ' '.join(command), out, error), why=why)
        time.sleep(POLL_SECONDS)


def join(module, deadline, why):
    unless = module.params['unless']
    if not unless:
        return False
    while True:
        code, out, unused_error = module.run_command(unless['command'])
        if code == 0:
            break
        if time.monotonic() >= deadline:
            module.fail_json(msg='%s does not succeed: %s%s' % (' '.join(unless['command']), out, unused_error), why=why)
        time.sleep(POLL_SECONDS)
    if re.search(unless['match'], out):
        return False
    wait_for(module, module.params['then'], '', deadline, why)
    return True


def run(module):
    units = Units(module)
    stale = units.start + units.restart + units.reload
    result = {'changed': bool(stale or units.enable), 'why': units.why}
    if module.check_mode:
        return result
    at_ns = now_ns()
    if units.restart and module.params['before']:
        wait_for(module, module.params['before'], '', time.monotonic(), units.why)
        time.sleep(module.params['before_seconds'])
    if stale or units.enable:
        units.apply()
    deadline = time.monotonic() + module.params['seconds']
    if join(module, deadline, units.why):
        result['changed'] = True
    for ready in module.params['ready']:
        wait_for(module, ready['command'], ready['match'], deadline, units.why)
    if units.restart and module.params['after']:
        wait_for(module, module.params['after'], '', deadline, units.why)
    if stale:
        set_marks(units.units, at_ns)
    return result


def main():
    module = AnsibleModule(
        argument_spec={
            'units': {'type': 'list', 'elements': 'dict', 'required': True},
            'together': {'type': 'bool', 'default': False},
            'before': {'type': 'list', 'elements': 'str', 'default': []},
            'before_seconds': {'type': 'int', 'default': 0},
            'after': {'type': 'list', 'elements': 'str', 'default': []},
            'unless': {'type': 'dict'},
            'then': {'type': 'list', 'elements': 'str', 'default': []},
            'ready': {'type': 'list', 'elements': 'dict', 'default': []},
            'seconds': {'type': 'int', 'default': 120},
        },
        supports_check_mode=True,
    )
    module.exit_json(**run(module))


if __name__ == '__main__':
    main()
