echo 'root:1000000:65536' >>/etc/subuid
echo 'root:1000000:65536' >>/etc/subgid
