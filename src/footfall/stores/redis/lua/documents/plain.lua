-- What scripts share that are about no site: KEYS[1] is the key they work on, ARGV[1] a MessagePack map, `args`.
local call, KEY, args = redis.call, KEYS[1], cmsgpack.unpack(ARGV[1])
