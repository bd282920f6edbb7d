# cni-kill.py PROGRAM STDIN N: starts ADD N times (container kI) and kills it after a wait that wanders over a run's length;
# prints how many were killed while they ran
import os, subprocess, sys, time
program, stdin, n = sys.argv[1], sys.argv[2], int(sys.argv[3])


def start(name):
    env = dict(os.environ, CNI_COMMAND='ADD', CNI_CONTAINERID=name, CNI_NETNS=os.environ['NETNS'], CNI_IFNAME='eth0',
               CNI_PATH='/', CNI_ARGS='K8S_POD_NAMESPACE=apps;K8S_POD_NAME=web')
    return subprocess.Popen([program], stdin=open(stdin), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)


took = []
for i in range(20):
    began = time.perf_counter_ns()
    start('k1').wait()
    took.append(time.perf_counter_ns() - began)
length = sorted(took)[10]
killed = 0
for i in range(1, n + 1):
    p = start('k%d' % i)
    end = time.perf_counter_ns() + i * length // n
    while time.perf_counter_ns() < end:
        pass
    p.kill()
    killed += p.wait() == -9
print(killed)
