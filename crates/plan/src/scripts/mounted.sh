device=$1 path=$2
[ -b "$device" ]
# As mountinfo writes it; stat speaks hexadecimal.
want=$(printf '%d:%d' "0x$(stat -L -c %t -- "$device")" "0x$(stat -L -c %T -- "$device")")
awk -v p="$path" -v d="$want" '$5 == p { last = $3 } END { exit last != d }' /proc/self/mountinfo
