# offbox_script.py - the old script, played as it was known to work, for tests: a tick without memory but for the last
# key ID, the key ID in the description of its interface that LLDP carries, one merge and one commit, no answer and no
# look at what became of it.
import base64
import json
import re
import ssl
import urllib.error
import urllib.request

import rig
from rig import expect

PREFIX = "abcd1234abcd5678abcd1234abcd5678"
LLDP = "<get-lldp-neighbors-information/>"
TEXT = "to the lab"  # an operator's, before the "|"


def put(description, key_id):
    """The description with a key ID in it."""
    return "%s|%s" % (description.split("|")[0], json.dumps({"key_ID": key_id}))


def key_id_in(description):
    found = re.search(r"\|(\{.*\})\s*$", description)
    return json.loads(found.group(1)).get("key_ID") if found else None


def neighbour(lab, router, port):
    """The description that this port hears of its neighbour, "" none."""
    said = lab.netconf(router, LLDP)
    rows = re.findall(r"<lldp-neighbor-information>(.*?)</lldp-neighbor-information>", said, re.S)
    for row in rows:
        local = re.search(r"<lldp-local-(?:port-id|interface)>\s*([^<\s]+)", row).group(1)
        text = re.search(r"<lldp-remote-port-description>([^<]*)<", row)
        if local.removesuffix(".0") == port and text:
            return text.group(1).replace("&quot;", '"').replace("&#34;", '"').strip()
    return ""


class Script:
    """The old script on one router (a name and a port), for one link, as an SAE of a pair of KMEs."""

    def __init__(self, lab, kmes, end, sae="SAE_B", master=False, ca=None):
        self.lab, self.master, self.ca = lab, master, ca
        self.router, self.port = end
        self.last, self.next_tick, self.stopped, self.skipped, self.ticks = None, 0, False, 0, 0
        pki = kmes.dir + "/pki/"
        self.peer, self.at = ("SAE_A", kmes.b) if sae == "SAE_B" else ("SAE_B", kmes.a)
        context = ssl.create_default_context(cafile=pki + "ca.crt")
        context.load_cert_chain(pki + sae + ".crt", pki + sae + ".key")
        self.kme = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                               urllib.request.HTTPSHandler(context=context))

    def ask(self, what):
        url = "https://127.0.0.1:%d/api/v1/keys/%s/%s" % (self.at.port, self.peer, what)
        with self.kme.open(url, timeout=rig.PATIENCE_S) as answer:
            return json.load(answer)

    def key(self, what):
        """(key ID, CKN, CAK): the prefix and the UUID, and the first 32 bytes of what the KME gave"""
        key = self.ask(what)["keys"][0]
        return key["key_ID"], PREFIX + key["key_ID"].replace("-", ""), base64.b64decode(key["key"])[:32].hex()

    def commit(self, key_id, ckn, cak):
        ca = "set security macsec connectivity-association %s " % self.ca
        lines = [ca + "pre-shared-key ckn " + ckn, ca + "pre-shared-key cak " + cak, ca + "security-mode static-cak"]
        if self.master:
            lines.append('set interfaces %s description "%s"' % (self.port, put(TEXT, key_id).replace('"', '\\"')))
        load = ('<load-configuration action="set" format="text"><configuration-set>%s</configuration-set>'
                "</load-configuration>" % "\n".join(lines))
        said = self.lab.netconf(self.router, load, "<commit-configuration/>")
        expect("rpc-error" not in said and "<commit-success/>" in said, "the script's commit: %s", said)
        self.last = key_id

    def fetch(self):
        """What its next commit would bring; None: there is nothing to do."""
        self.ask("status")
        if self.master:
            return self.key("enc_keys")
        key_id = key_id_in(neighbour(self.lab, self.router, self.port))
        if not key_id or key_id == self.last:
            self.skipped += 1
            return None
        return self.key("dec_keys?key_ID=" + key_id)

    def tick(self):
        self.ticks += 1
        try:
            key = self.fetch()
        except urllib.error.HTTPError:  # as for a key that it had already: the tick ends, the next one tries again
            return
        if key:
            self.commit(*key)
