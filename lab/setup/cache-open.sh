# A cache that the other hosts may ask.
sed 's/^bind .*/bind 0.0.0.0/; s/^protected-mode .*/protected-mode no/' /etc/redis/redis.conf >/etc/redis/redis.conf.new
chown --reference=/etc/redis/redis.conf /etc/redis/redis.conf.new
chmod --reference=/etc/redis/redis.conf /etc/redis/redis.conf.new
put /etc/redis/redis.conf
systemctl enable --quiet --now redis-server
[ -z "$changed" ] || systemctl restart redis-server
answers() { [ "$(redis-cli ping)" = PONG ]; }
wait_for 60 "the cache answers" answers
