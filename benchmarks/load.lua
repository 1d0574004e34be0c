-- What wrk asks for, and how it says what came of it. Arguments: how many pages, a seed, how many referrers and agents, and whom the
-- requests come from: "peer" (nothing is said of it), "new" (an address never seen before for each) or "one" (always the same), as a
-- proxy says it; with "+id" each has an event id.
-- The URL names the page, or, where there are many, what their names begin with: the n-th is then drawn 1/n times as often
-- as the first (Zipf's law). Where there are referrers, each request has one of them and one of as many user agents, drawn
-- evenly. Every request is made before the run begins, so that the run measures the server.

local DRAWS = 100000

local function cumulative_weights(pages)
   local sums, sum = {}, 0
   for n = 1, pages do
      sum = sum + 1 / n
      sums[n] = sum
   end
   return sums
end

-- The first place in `sums` whose value reaches `goal`.
local function place_of(goal, sums)
   local low, high = 1, #sums
   while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] < goal then low = middle + 1 else high = middle end
   end
   return low
end

-- The request for page n by a visitor with the a-th agent, from the r-th referrer.
local function visit(n, r, a)
   local headers = {}
   for name, value in pairs(wrk.headers) do headers[name] = value end
   headers["User-Agent"] = headers["User-Agent"]:gsub("%d+%.0%.0%.0", 100 + a % 40 .. ".0." .. a .. ".0")
   return wrk.format("GET", wrk.path .. n .. "&r=https%3A%2F%2Fsite" .. r .. ".example%2F", headers)
end

-- The agents of a site's visitors: so many versions of so many browsers.
local AGENTS = {
   "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36",
   "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Mobile Safari/537.36",
   "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/%d.1 Safari/605.1.15",
   "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/%d.5 Mobile/15E148 Safari/604.1",
   "Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%d.0",
   "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36 Edg/%d.0.0.0",
}
local VERSIONS = 10

local function agent()
   local version = 130 + math.random(VERSIONS)
   return string.format(AGENTS[math.random(#AGENTS)], version, version)
end

-- The text of a request before the visitor's address, between that and the event id, and after it.
local function parts_of(n, referrers, with_ids)
   local headers = {}
   for name, value in pairs(wrk.headers) do headers[name] = value end
   headers["User-Agent"] = agent()
   headers["X-Forwarded-For"] = "@address@"
   local id = with_ids and "&e=@id@" or ""
   local target = wrk.path .. n .. id .. "&r=https%3A%2F%2Fsite" .. math.random(referrers) .. ".example%2F"
   return wrk.format("GET", target, headers)
end

-- Requests of visitors from everywhere: each `request` writes an address, and perhaps an id, into a text that was drawn before.
local function visitors(args, sums)
   local pages, seed, referrers = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
   local with_ids, are_new = args[4]:find("+id", 1, true) ~= nil, args[4]:find("new", 1, true) ~= nil
   local drawn, turn = {}, 0
   for i = 1, DRAWS do
      local text = parts_of(place_of(math.random() * sums[pages], sums), referrers, with_ids)
      local parts = {}
      for part in (text .. "@"):gmatch("(.-)@") do parts[#parts + 1] = part end
      drawn[i] = parts
   end
   -- 2,000,000 addresses of 11.0.0.0 to 99.255.255.255 for each run, and the next for the next.
   -- The one address is a private one: a public one may bring no more than 20 new pages.
   local first, where = seed * 2000000, {address = "10.20.30.40", id = ""}
   function request()
      turn = turn + 1
      if are_new then
         local n = (first + turn) % 1493172224
         where.address = string.format(
            "%d.%d.%d.%d", 11 + math.floor(n / 16777216), math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256)
      end
      where.id = with_ids and string.format("run-%06d-view-%012d", seed, turn)
      local parts = drawn[turn % DRAWS + 1]
      if #parts == 3 then return parts[1] .. where[parts[2]] .. parts[3] end
      return parts[1] .. where[parts[2]] .. parts[3] .. where[parts[4]] .. parts[5]
   end
end

function init(args)
   local pages, seed, visits = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
   if pages == 1 then return end -- no `request` of ours: wrk then sends one fixed text, at no cost
   math.randomseed(seed)
   local sums, made, drawn, turn = cumulative_weights(pages), {}, {}, 0
   if args[4] ~= "peer" then return visitors(args, sums) end
   for i = 1, DRAWS do
      local n = place_of(math.random() * sums[pages], sums)
      if visits > 0 then
         drawn[i] = visit(n, math.random(visits), math.random(visits))
      else
         made[n] = made[n] or wrk.format("GET", wrk.path .. n)
         drawn[i] = made[n]
      end
   end
   function request()
      turn = turn % DRAWS + 1
      return drawn[turn]
   end
end

-- One line of JSON, which wrk.py looks for among wrk's own; times are in microseconds.
function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"completed":%d,"microseconds":%d,"p50":%.1f,"p99":%.1f,'
         .. '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.status, errors.timeout
   ))
end
