-- The store's clock: whole seconds since the epoch (UTC), as this server tells them. One clock for all instances.
-- Every script is composed as clock.lua, site.lua, and its own file.
local function clock()
  return tonumber(redis.call('TIME')[1])
end
