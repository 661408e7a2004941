[ "$(blkid -p -s TYPE -o value -- "$2")" = "$1" ]
