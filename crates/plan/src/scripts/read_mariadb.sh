# A dump that was cut off does not have this line near its end.
tail -n 20 | grep -e '^-- Dump completed'
