// A network and IPAM plugin for the tests, in another language than ours and sharing no code with it: Docker's plugin protocol over a
// Unix socket, by Node's own modules and ip(8). It is strict: whatever does not fit what it holds is refused.
//
//   node plugin.mjs SOCKET LOG [STATE]
//   node plugin.mjs tls:PORT LOG    with CERT and KEY, and CLIENT: the certificate of the only one that is let in
//
// Each call is a line of JSON in LOG: {method, body, answer, status}. With STATE, a file, it remembers across its own end.
// Beside the protocol it answers /Test.Fault {method, kind, times, answer}, and /Test.State.

import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { dirname } from "node:path";

const [socket, log, file] = process.argv.slice(2);
const kept = { networks: {}, endpoints: {}, pools: {}, allocated: {}, number: 0 };
const share = Number(process.env.SHARE ?? 0); // how many addresses of each pool are other instances' to give
const nodes = {}; // address -> whether it is this host; kept nowhere: whoever starts anew is told anew
const scope = process.env.SCOPE ?? "local"; // "global": its networks span hosts, by VXLAN between those that it is told of
if (file && existsSync(file)) Object.assign(kept, JSON.parse(readFileSync(file, "utf8")));
const faults = [];

const ip = (...words) => execFileSync("ip", words, { stdio: ["ignore", "pipe", "pipe"] }).toString();
const refuse = (words) => {
  throw new Error(words);
};
const bridgeOf = (id) => `tp${id.slice(0, 10)}`;
const tunnelOf = (id) => `tv${id.slice(0, 10)}`;
const outerOf = (id) => `to${id.slice(0, 10)}`;
const innerOf = (id) => `ti${id.slice(0, 10)}`;
const network = (body) => kept.networks[body.NetworkID] ?? refuse(`unknown network ${body.NetworkID}`);
const endpoint = (body) => kept.endpoints[body.EndpointID] ?? refuse(`unknown endpoint ${body.EndpointID}`);
const pool = (body) => kept.pools[body.PoolID] ?? refuse(`unknown pool ${body.PoolID}`);
const first = (data) => (data.length ? data[0] : null);

function hostAddresses(subnet) {
  const [base, bits] = subnet.split("/");
  if (base.includes(":")) return Array.from({ length: 50 }, (_, n) => `${base}${(n + 1).toString(16)}`);
  const octets = base.split(".").map(Number);
  const room = Math.min(2 ** (32 - Number(bits)) - 2, 250);
  return Array.from({ length: room }, (_, n) => [...octets.slice(0, 3), octets[3] + n + 1].join("."));
}

function join(tunnel, address) {
  if (!nodes[address]) execFileSync("bridge", ["fdb", "append", "00:00:00:00:00:00", "dev", tunnel, "dst", address]);
}

const methods = {
  "Plugin.Activate": () => ({ Implements: ["NetworkDriver", "IpamDriver"] }),
  "NetworkDriver.GetCapabilities": () => ({ Scope: scope, ConnectivityScope: scope, GwAllocChecker: true }),
  "NetworkDriver.GwAllocCheck": ({ Options }) => {
    const generic = Options["com.docker.network.generic"] ?? refuse("no options of the network's are given");
    return { SkipIPv4: generic.gateway === "none" };
  },
  "NetworkDriver.AllocateNetwork": (body) => {
    if (kept.allocated[body.NetworkID]) refuse(`network ${body.NetworkID} is allocated`);
    kept.allocated[body.NetworkID] = { ...body.Options, segment: String(5000 + ++kept.number) };
    return { Options: kept.allocated[body.NetworkID] };
  },
  "NetworkDriver.FreeNetwork": (body) => {
    if (!kept.allocated[body.NetworkID]) refuse(`network ${body.NetworkID} is not allocated`);
    delete kept.allocated[body.NetworkID];
    return {};
  },
  "NetworkDriver.CreateNetwork": (body) => {
    if (kept.networks[body.NetworkID]) refuse(`network ${body.NetworkID} exists`);
    const generic = body.Options["com.docker.network.generic"] ?? {};
    const bridge = bridgeOf(body.NetworkID);
    ip("link", "add", bridge, "type", "bridge");
    for (const data of [...body.IPv4Data, ...body.IPv6Data])
      if (data.Gateway) ip("address", "add", data.Gateway, "dev", bridge, ...(data.Gateway.includes(":") ? ["nodad"] : []));
    ip("link", "set", bridge, "up");
    if (generic.segment) {
      const tunnel = tunnelOf(body.NetworkID);
      const self = Object.keys(nodes).find((address) => nodes[address]) ?? refuse("no address of this host is known");
      ip("link", "add", tunnel, "type", "vxlan", "id", generic.segment, "dstport", "4790", "local", self);
      ip("link", "set", tunnel, "master", bridge, "up");
      for (const address of Object.keys(nodes)) join(tunnel, address);
    }
    kept.networks[body.NetworkID] = { generic, ipv4: first(body.IPv4Data), ipv6: first(body.IPv6Data) };
    return {};
  },
  "NetworkDriver.DeleteNetwork": (body) => {
    network(body);
    if (Object.values(kept.endpoints).some((item) => item.network === body.NetworkID)) refuse("network has endpoints");
    ip("link", "del", bridgeOf(body.NetworkID));
    if (kept.networks[body.NetworkID].generic.segment) ip("link", "del", tunnelOf(body.NetworkID));
    delete kept.networks[body.NetworkID];
    return {};
  },
  "NetworkDriver.CreateEndpoint": (body) => {
    const { generic } = network(body);
    if (kept.endpoints[body.EndpointID]) refuse(`endpoint ${body.EndpointID} exists`);
    const made = {};
    if (!body.Interface.MacAddress) made.MacAddress = `02:99:00:00:00:${(++kept.number % 256).toString(16).padStart(2, "0")}`;
    if (!body.Interface.Address && generic.gives) made.Address = generic.gives;
    const mac = body.Interface.MacAddress || made.MacAddress;
    ip("link", "add", outerOf(body.EndpointID), "type", "veth", "peer", "name", innerOf(body.EndpointID), "address", mac);
    ip("link", "set", outerOf(body.EndpointID), "master", bridgeOf(body.NetworkID), "up");
    kept.endpoints[body.EndpointID] = { network: body.NetworkID, options: body.Options, joined: "", ports: null };
    return { Interface: made };
  },
  "NetworkDriver.EndpointOperInfo": (body) => {
    endpoint(body);
    return { Value: { "test.host-end": outerOf(body.EndpointID) } };
  },
  "NetworkDriver.DeleteEndpoint": (body) => {
    if (endpoint(body).joined) refuse("endpoint has a sandbox");
    if (ip("-br", "link").includes(outerOf(body.EndpointID))) ip("link", "del", outerOf(body.EndpointID));
    delete kept.endpoints[body.EndpointID];
    return {};
  },
  "NetworkDriver.Join": (body) => {
    const { generic, ipv4, ipv6 } = network(body);
    const held = endpoint(body);
    if (held.joined) refuse("endpoint has a sandbox already");
    held.joined = body.SandboxKey;
    const address = (data) => (data?.Gateway ? data.Gateway.split("/")[0] : "");
    const answer = { InterfaceName: { SrcName: innerOf(body.EndpointID), DstPrefix: generic.prefix ?? "eth" }, StaticRoutes: [] };
    if (generic.gateway !== "none") Object.assign(answer, { Gateway: address(ipv4), GatewayIPv6: address(ipv6) });
    if (generic.closed) answer.DisableGatewayService = true;
    if (generic.route) answer.StaticRoutes.push({ Destination: generic.route, RouteType: 0, NextHop: address(ipv4) });
    if (generic.onlink) answer.StaticRoutes.push({ Destination: generic.onlink, RouteType: 1 });
    return answer;
  },
  "NetworkDriver.Leave": (body) => {
    const held = endpoint(body);
    if (!held.joined) refuse("endpoint has no sandbox");
    held.joined = "";
    return {};
  },
  "NetworkDriver.ProgramExternalConnectivity": (body) => {
    endpoint(body).ports = body.Options["com.docker.network.portmap"];
    return {};
  },
  "NetworkDriver.RevokeExternalConnectivity": (body) => {
    endpoint(body).ports = null;
    return {};
  },
  "NetworkDriver.DiscoverNew": ({ DiscoveryType, DiscoveryData }) => {
    if (DiscoveryType !== 1) refuse(`unknown discovery ${DiscoveryType}`);
    nodes[DiscoveryData.Address] = DiscoveryData.self;
    for (const [id, { generic }] of Object.entries(kept.networks)) if (generic.segment) join(tunnelOf(id), DiscoveryData.Address);
    return {};
  },
  "NetworkDriver.DiscoverDelete": ({ DiscoveryData }) => {
    if (!(DiscoveryData.Address in nodes)) refuse(`unknown host ${DiscoveryData.Address}`);
    delete nodes[DiscoveryData.Address];
    return {};
  },
  "IpamDriver.GetCapabilities": () => ({ RequiresMACAddress: Boolean(process.env.WANTS_MAC), RequiresRequestReplay: Boolean(process.env.FORGETS) }),
  "IpamDriver.GetDefaultAddressSpaces": () => ({ LocalDefaultAddressSpace: "TestLocal", GlobalDefaultAddressSpace: "TestGlobal" }),
  "IpamDriver.RequestPool": (body) => {
    if (body.AddressSpace !== (scope === "global" ? "TestGlobal" : "TestLocal")) refuse(`unknown address space ${body.AddressSpace}`);
    const taken = Object.values(kept.pools).map((item) => item.subnet);
    const own = Array.from({ length: 9 }, (_, n) => (body.V6 ? `fd99:${n}::/64` : `10.99.${n}.0/24`));
    const subnet = body.Pool || own.find((item) => !taken.includes(item));
    if (taken.includes(subnet)) refuse(`pool ${subnet} is taken`);
    const id = `${body.AddressSpace}/${subnet}`;
    kept.pools[id] = { subnet, given: [], options: body.Options };
    return { PoolID: id, Pool: subnet, Data: {} };
  },
  "IpamDriver.ReleasePool": (body) => {
    if (pool(body).given.length) refuse(`pool ${body.PoolID} has addresses: ${pool(body).given}`);
    delete kept.pools[body.PoolID];
    return {};
  },
  "IpamDriver.RequestAddress": (body) => {
    const { subnet, given } = pool(body);
    if (process.env.WANTS_MAC && body.Options?.RequestAddressType === undefined && !body.Options?.["com.docker.network.endpoint.macaddress"])
      refuse("no MAC is given");
    const address = body.Address || hostAddresses(subnet).slice(share).find((item) => !given.includes(item));
    if (given.includes(address)) refuse(`${address} is taken`);
    given.push(address);
    return { Address: `${address}/${subnet.split("/")[1]}`, Data: {} };
  },
  "IpamDriver.ReleaseAddress": (body) => {
    const { given } = pool(body);
    if (!given.includes(body.Address)) refuse(`${body.Address} is not given`);
    given.splice(given.indexOf(body.Address), 1);
    return {};
  },
};

function answered(method, body) {
  if (method === "Test.Fault") {
    faults.push({ times: 1, ...body });
    return [200, {}];
  }
  if (method === "Test.State") return [200, { ...kept, nodes }];
  const fault = faults.find((item) => item.method === method && item.times > 0);
  if (fault) fault.times -= 1;
  if (fault?.kind === "unknown" || !methods[method]) return [404, "404 page not found"];
  if (fault?.kind === "refuse") return [500, { Err: "not today" }];
  if (fault?.kind === "die-before") process.exit(1);
  let result;
  try {
    result = methods[method](body);
  } catch (error) {
    return [200, { Err: String(error.stderr ?? error.message) }];
  }
  if (file) writeFileSync(file, JSON.stringify(kept));
  if (fault?.kind === "die-after") process.exit(1); // done, and nobody hears of it
  if (fault?.kind === "silent") return [0, ""];
  if (fault?.kind === "garbage") return [200, "<html>it broke</html>"];
  if (fault?.kind === "answer") return [200, fault.answer];
  return [200, result];
}

function served(request, response) {
  let text = "";
  request.on("data", (part) => (text += part));
  request.on("end", () => {
    const method = request.url.slice(1);
    const body = text ? JSON.parse(text) : {};
    const [status, answer] = answered(method, body);
    if (!method.startsWith("Test.")) appendFileSync(log, JSON.stringify({ method, body, answer, status }) + "\n");
    if (!status) return; // the connection stays open, and nothing comes
    response.writeHead(status, { "Content-Type": "application/vnd.docker.plugins.v1.2+json" });
    response.end(typeof answer === "string" ? answer : JSON.stringify(answer));
  });
}

if (socket.startsWith("tls:")) {
  const [cert, key, ca] = ["CERT", "KEY", "CLIENT"].map((name) => readFileSync(process.env[name]));
  createTlsServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true }, served).listen(Number(socket.slice(4)));
} else {
  mkdirSync(dirname(socket), { recursive: true });
  if (existsSync(socket)) unlinkSync(socket);
  createServer(served).listen(socket);
}
