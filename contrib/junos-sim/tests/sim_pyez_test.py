#!/usr/bin/python3
# sim_pyez_test.py - junos-sim, seen by PyEZ (junos-eznc), Juniper's own library.
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import junos_lab  # noqa: E402
from junos_lab import CAK, CKN, expect  # noqa: E402

try:
    from jnpr.junos import Device
    from jnpr.junos.exception import CommitError, ConfigLoadError, LockError, RpcError
    from jnpr.junos.utils.config import Config
except ImportError:
    junos_lab.other_python("python3-junos-eznc is not installed")

lab = junos_lab.Lab(r1="127.0.78.1,srx", r2="127.0.78.2,mx")
KEYS = """
security {
    macsec {
        connectivity-association CA1 {
            security-mode static-cak;
            pre-shared-key { ckn %s; cak %s; }
        }
        interfaces { ge-0/0/0 { connectivity-association CA1; } }
    }
}
""" % (CKN, CAK)


def device(name="r1"):
    return Device(host=lab.address(name), port=lab.port, user="lab", ssh_private_key_file=lab.dir + "/id",
                  gather_facts=False, hostkey_verify=False)


def facts():
    with device() as d:
        expect(d.connected and d.facts["hostname"] == "r1", "%s", d.facts["hostname"])
        expect(d.facts["model"] == "SRX380" and d.facts["version"] == "20.4R2.7", "%s %s", d.facts["model"],
               d.facts["version"])


def one_mode(mode, name):
    with device(name) as d, Config(d, mode=mode) as c:
        c.load("set system domain-name %s.example" % mode, format="set")
        expect("+   domain-name %s.example;" % mode in c.diff(), "%s", c.diff())
        expect(c.commit_check())
        expect(c.commit(comment="as " + mode, timeout=junos_lab.WAIT_S))
        expect(c.diff() is None, "%s", c.diff())
        log = d.rpc.get_commit_information().findtext("commit-history/log")
        expect(log == "as " + mode, "%s", log)


def private_mode():
    one_mode("private", "r2")


def exclusive_mode():
    one_mode("exclusive", "r1")


def text_xml_and_rollback():
    with device() as d, Config(d) as c:
        c.lock()
        c.load(KEYS, format="text", merge=True)
        expect(CKN in c.diff() and CAK not in c.diff())
        expect(c.commit())
        c.load("<configuration><security><macsec><connectivity-association><name>CA1</name><replay-protect>"
               "<replay-window-size>5</replay-window-size></replay-protect></connectivity-association></macsec></security>"
               "</configuration>", format="xml")
        expect("replay-window-size 5;" in c.diff(), "%s", c.diff())
        expect(c.commit())
        c.rollback(1)
        expect("-   replay-protect {" in c.diff(), "%s", c.diff())
        expect(c.commit())
        c.unlock()
        got = d.rpc.get_config(filter_xml="<configuration><security><macsec/></security></configuration>")
        expect(got.findtext(".//pre-shared-key/ckn") == CKN)
        expect(got.findtext(".//pre-shared-key/cak").startswith("$9$"))
        expect(got.find(".//replay-protect") is None)


def raises(kind, call, text):
    try:
        call()
    except kind as why:
        expect(text in str(why), "no '%s' in %s", text, why)
    else:
        raise junos_lab.Failed("no %s" % kind.__name__)


def errors():
    with device() as d, device() as other, Config(d) as c, Config(other) as o:
        c.lock()
        raises(LockError, o.lock, "configuration database locked by")
        raises(ConfigLoadError, lambda: c.load("set system foo", format="set"), "syntax error")
        c.load("set security macsec interfaces ge-0/0/3 connectivity-association NO", format="set")
        raises(CommitError, c.commit, "is not defined")
        c.rollback(0)
        expect(c.diff() is None)
        c.unlock()
        raises(RpcError, lambda: d.rpc.get_no_such_thing(), "syntax error")


def confirmed():
    with device("r2") as d, Config(d) as c:
        c.load("set system domain-name sure.example", format="set")
        expect(c.commit(confirm=5))
        expect(d.rpc.get_commit_information().findtext("commit-history/commit-confirmed") == "rollback pending")
        expect(c.commit())
        expect(d.rpc.get_commit_information().findtext("commit-history/commit-confirmed") is None)


def ends_clean():
    expect(lab.stop() == 0, "%s", lab.log_text())
    expect(CAK not in lab.log_text(), "a key is in the log")


try:
    lab.start()
    status = junos_lab.run([(f.__name__, f) for f in (facts, private_mode, exclusive_mode, text_xml_and_rollback,
                                                     errors, confirmed, ends_clean)])
finally:
    lab.end()
sys.exit(status)
