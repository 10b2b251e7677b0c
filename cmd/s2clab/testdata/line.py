# The same line of routers in Mininet, until the last answers a ping: prints the
# seconds it took.
import sys
import time
from mininet.net import Mininet
from mininet.node import Node


class Router(Node):
    def config(self, **params):
        super().config(**params)
        self.cmd("sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0")


n = int(sys.argv[1])
began = time.time()
net = Mininet(controller=None, waitConnected=False)
routers = [net.addHost("r%d" % (i + 1), cls=Router, ip=None) for i in range(n)]
for i in range(n - 1):
    left, right = routers[i], routers[i + 1]
    net.addLink(left, right, intfName1="x%dr" % i, intfName2="x%dl" % (i + 1))
net.start()
for i in range(n - 1):
    routers[i].cmd("ip -6 addr add 2001:db8:%x::1/64 dev x%dr nodad" % (i, i))
    routers[i + 1].cmd("ip -6 addr add 2001:db8:%x::2/64 dev x%dl nodad" % (i, i + 1))
for i, router in enumerate(routers):
    if i < n - 1:
        router.cmd("ip -6 route add 2001:db8:%x::/64 via 2001:db8:%x::2" % (n - 2, i)) if i < n - 2 else None
    if i > 0:
        router.cmd("ip -6 route add 2001:db8:0::/64 via 2001:db8:%x::1" % (i - 1)) if i > 1 else None
while "1 received" not in routers[0].cmd("ping -6 -c 1 -W 1 2001:db8:%x::2" % (n - 2)):
    if time.time() - began > 120:
        sys.exit("the last router never answered")
print(time.time() - began)
net.stop()
