"""The default bridge: the one network that the environment describes (``CNM_BIP``, ``CNM_ICC``, …) and not a person's request."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

from django.conf import settings

from networks import feed
from networks.cnm.errors import Conflict
from networks.cnm.facts import HostFacts
from networks.cnm.text import gettext_noop
from networks.load import load_settings
from networks.models import Container, Host, Lease, Network

from . import ipam
from .features import require_feature
from .operations import next_activation
from .spec_network import SubnetRequest, check_subnet


def ensure_default_bridge(host: Host, facts: HostFacts) -> None:
    """Make the default bridge's row, or bring it to what the environment now says.

    *facts*: what the host is like now; at the first start nobody else has looked yet. Raises a CnmError that names the
    setting when the bridge could not be made that way, or could not be moved there.
    """
    wanted = settings.DEFAULT_BRIDGE
    row = Network.objects.filter(host=host, name="bridge").first()
    if wanted["name"] == "none":
        if row is not None and not row.endpoints.exists():
            row.delete()
            feed.delete("network", row.pk)
        return
    if row is None:
        row = Network(host=host, name="bridge", driver="bridge", predefined=True, activation=next_activation(host))
    _check_filtering(host, facts)
    row.options = _options(host)
    row.save()
    subnet = _subnet(host, row, facts)
    if subnet is not None:
        _check_move(row, subnet)
        row.subnets.all().delete()
        Lease.objects.filter(network=row, endpoint=None).delete()
        ipam.add_subnet(row, subnet, from_pool=not wanted["bip"])
    feed.put("network", row)


def _options(host: Host) -> dict[str, str]:
    wanted, naming = settings.DEFAULT_BRIDGE, load_settings(host).naming
    prefix = "com.docker.network.bridge."
    options = {
        prefix + "default_bridge": "true",
        prefix + "enable_icc": str(wanted["icc"]).lower(),
        prefix + "enable_ip_masquerade": str(load_settings(host).ip_masq).lower(),
        prefix + "name": wanted["name"] or naming.bridge,
    }
    return options | ({"com.docker.network.driver.mtu": str(wanted["mtu"])} if wanted["mtu"] else {})


def _subnet(host: Host, row: Network, facts: HostFacts) -> SubnetRequest | None:
    """What the subnet should be; None: it may stay as it is."""
    wanted = settings.DEFAULT_BRIDGE
    present = row.subnets.first()
    fixed = ip_network(wanted["fixed_cidr"]) if wanted["fixed_cidr"] else None
    if wanted["bip"]:
        bip = ip_interface(wanted["bip"])
        asked = check_subnet("CNM_BIP", SubnetRequest(subnet=bip.network, gateway=bip.ip, ip_range=fixed))
    elif present is not None:
        asked = SubnetRequest(subnet=ip_network(present.cidr), gateway=ip_address(present.gateway), ip_range=fixed)
        asked = check_subnet("CNM_FIXED_CIDR", asked)
    else:
        asked = SubnetRequest(subnet=_free(host, fixed, facts), ip_range=fixed)
    same = present is not None and (present.cidr, present.gateway, present.ip_range) == (
        str(asked.subnet),
        str(asked.gateway or ""),
        str(asked.ip_range or ""),
    )
    if same:
        return None
    if present is None or present.cidr != str(asked.subnet):
        ipam.check_overlap_with_others(host, row, asked.subnet, "CNM_BIP", facts)
    return asked


def _free(host: Host, fixed: ipam.AnyNetwork | None, facts: HostFacts) -> ipam.AnyNetwork:
    """The next free subnet of the pools; a range that was given without an address of the bridge is the subnet itself."""
    return fixed if fixed is not None else ipam.free_subnet(host, facts=facts)


def _check_move(row: Network, asked: SubnetRequest) -> None:
    """Containers that run, or run again at the next start, have addresses and routes of the old subnet."""
    present = row.subnets.first()
    if present is None or (present.cidr, present.gateway) == (str(asked.subnet), str(asked.gateway or "")):
        return
    holding = Container.objects.filter(endpoints__in=row.endpoints.exclude(ipv4="")).distinct()
    if holding:
        raise Conflict(
            gettext_noop("The default bridge cannot move from {old} to {new}: {containers} have addresses there."),
            remedy=gettext_noop("Set CNM_BIP back to {old}, stop these containers, and change it then."),
            field="CNM_BIP",
            subject="network bridge",
            old=ipam.gateway_interface(present),
            new=f"{asked.gateway or asked.subnet.network_address}/{asked.subnet.prefixlen}",
            containers=ipam.names_of(holding),
        )


def _check_filtering(host: Host, facts: HostFacts) -> None:
    """Refuse what needs the rules to see bridged packets where this kernel cannot show them."""
    said = load_settings(host)
    for setting, on in (("CNM_ICC", settings.DEFAULT_BRIDGE["icc"]), ("CNM_USERLAND_PROXY", said.userland_proxy)):
        if said.iptables and not on:
            require_feature(host, facts, "bridge-nf", setting)
