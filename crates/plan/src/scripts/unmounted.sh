awk -v p="$1" '$5 == p { found = 1 } END { exit found }' /proc/self/mountinfo
