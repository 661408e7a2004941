for name in "$@"; do
    if dpkg-query -W -f '${db:Status-Status}\n' -- "$name" 2>/dev/null | grep -qx installed; then
        echo "$name is installed"
        exit 1
    fi
done
