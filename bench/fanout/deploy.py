"""The ten steps of job.yaml for pyinfra: facts, a file from a template, an edited line, seven commands."""
from pyinfra import host
from pyinfra.facts.deb import DebPackages
from pyinfra.facts.hardware import Ipv4Addrs
from pyinfra.facts.server import Arch, Kernel, KernelVersion, LinuxDistribution, Mounts
from pyinfra.operations import files, server

for fact in (Arch, Kernel, KernelVersion, LinuxDistribution, Mounts, Ipv4Addrs, DebPackages):
    host.get_fact(fact)
job = host.data.job_dir
files.template(
    name="settings from a template", src="settings.j2", dest=f"{job}/settings.conf", mode="644", address=host.data.address
)
files.replace(name="another mode", path=f"{job}/settings.conf", text="^mode = .*$", replace="mode = fast")
for name, command in (
    ("who", "id"),
    ("kernel", "uname -a"),
    ("read it", f"cat {job}/settings.conf"),
    ("count it", f"wc -l <{job}/settings.conf"),
    ("space", f"df -P {job}"),
    ("note", f"date >{job}/noted"),
    ("nothing", "true"),
):
    server.shell(name=name, commands=[command])
