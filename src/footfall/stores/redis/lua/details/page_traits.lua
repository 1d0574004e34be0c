-- The pages' part of a commit's traits, into the fresh hashes of the hours. See pages.lua.

local find = string.find

-- The number of a page in a day; a new one where there is room for one more page.
local function number_of(day, page)
  local number = day.numbers[page]
  if not number and day.taken < args.pages_a_day then
    day.taken, day.last = day.taken + 1, day.last + 1
    number = text[day.last]
    day.numbers[page] = number
    day.new[#day.new + 1] = page
  end
  return number
end

-- One row's fields. This runs for each view with traits of its own: it makes no table and no string but the fields.
local function put_row(row)
  local day, of, page, more, number = row_days[row], row_hours[row], row_pages[row], row_views[row], nil
  local fields, views, met, at = of.fields, of.views, of.met, rows_of[page] > 1 and of.at
  local n = #fields
  for i = 1, #columns do
    local column = columns[i]
    local value = day.resolved[i][column.at[row]]
    if value then
      if number == nil then number = number_of(day, page) end
      if not number then return end
      local word = column.words[value]
      if not word then
        word = word_of(column.letter, column.values[value])
        column.words[value] = word
      end
      local field = number .. word
      local there = at and at[field]
      if there then
        views[there] = views[there] + more
      else
        n = n + 1
        fields[n], views[n], met[n] = field, more, 64 * row + i
        if at then at[field] = n end
      end
    end
  end
end

-- What a page has in a day: its text as it was, the words that come to it, and how many values other than OTHER it has of a
-- dimension in the text and among the new ones.
local function text_of(all) return { all = all or '', new = {}, is_new = {}, counts = {}, come = {} } end

local function has_word(of, word) return of.is_new[word] or find(of.all, '\1' .. word .. '\2', 1, true) end

local function has_room(of, i)
  if #of.all + 5 * #of.new < 5 * args.page_values then return true end -- a value takes five bytes at least
  if not of.counts[i] then
    local n = select(2, of.all:gsub('\1' .. columns[i].letter, ''))
    of.counts[i] = find(of.all, '\1' .. columns[i].other_word .. '\2', 1, true) and n - 1 or n
  end
  return of.counts[i] + (of.come[i] or 0) < args.page_values
end

-- The word that a value is counted under in the day, which has it from then on.
local function admitted(of, word, i)
  if has_word(of, word) then return word end
  local other = columns[i].other_word
  if word ~= other then
    if has_room(of, i) then of.come[i] = (of.come[i] or 0) + 1 else word = other end
    if word == other and has_word(of, other) then return other end
  end
  of.is_new[word] = true
  of.new[#of.new + 1] = word
  return word
end

-- Values that are new to their page's hour come into its day, in the order in which they were met, or are counted as OTHER.
local function admit(day, new)
  local pages, texts, flat = {}, {}, {}
  table.sort(new, function(a, b) return a[2] < b[2] end)
  for _, each in ipairs(new) do
    local page = row_pages[floor(each[2] / 64)]
    if not texts[page] then
      texts[page] = true
      pages[#pages + 1] = page
    end
  end
  local found = asked('HMGET', pages_key('day', day.start), pages)
  for j, page in ipairs(pages) do texts[page] = text_of(found[j]) end
  for _, each in ipairs(new) do
    local met, of, k = each[2], each[1], each[3]
    local i, row = met % 64, floor(met / 64)
    local column, page = columns[i], row_pages[row]
    local word = column.words[day.resolved[i][column.at[row]]]
    if admitted(texts[page], word, i) ~= word then
      added(of.others, day.numbers[page] .. column.other_word, of.views[k])
      of.views[k] = 0
    end
  end
  for page, of in pairs(texts) do
    if #of.new > 0 then
      flat[#flat + 1], flat[#flat + 2] = page, of.all .. '\1' .. table.concat(of.new, '\0020\1') .. '\0020'
    end
  end
  if #flat > 0 then writes[#writes + 1] = { pages_key('day', day.start), flat, day.had == 0 and life('day', day.start) } end
end

local function touch(hour)
  state.fresh = state.fresh or {}
  for _, each in ipairs(state.fresh) do
    if each[1] == hour then
      each[3] = now
      return
    end
  end
  state.fresh[#state.fresh + 1] = { hour, 0, now }
end

-- What goes into the OTHER of pages joins what does so anyway.
local function put_others(of, to)
  for field, more in pairs(of.others) do
    local k = of.at[field]
    for j = 1, k and 0 or #of.fields do
      if of.fields[j] == field then k = j end
    end
    k = k or #of.fields + 1
    if not of.fields[k] then
      of.fields[k], of.views[k], of.old[k] = field, 0, call('HGET', to, field)
    end
    of.views[k] = of.views[k] + more
  end
end

local function bump_pages(day)
  local new = {}
  for hour, of in pairs(day.hours) do
    of.old, of.others = asked('HMGET', fresh_key(hour), of.fields), {}
    for k = 1, #of.fields do
      if not of.old[k] then new[#new + 1] = { of, of.met[k], k } end
    end
  end
  if #new > 0 then admit(day, new) end
  for hour, of in pairs(day.hours) do
    local to, flat, n = fresh_key(hour), {}, 0
    if next(of.others) then put_others(of, to) end
    local fields, views, old = of.fields, of.views, of.old
    for k = 1, #fields do
      if views[k] > 0 then
        flat[n + 1], flat[n + 2] = fields[k], text[(old[k] or 0) + views[k]]
        n = n + 2
      end
    end
    if n > 0 then
      writes[#writes + 1] = { to, flat, call('HLEN', to) == 0 and life('day', day.start) }
      touch(hour)
    end
  end
  local flat = {}
  for _, page in ipairs(day.new) do
    local number = day.numbers[page]
    flat[#flat + 1], flat[#flat + 2], flat[#flat + 3], flat[#flat + 4] = page, number, '#' .. number, page
  end
  if #flat > 0 then
    flat[#flat + 1], flat[#flat + 2] = '#', text[day.last]
    writes[#writes + 1] = { places_key(day.start), flat, day.had == 0 and life('day', day.start) }
  end
end

-- Read and resolve all that was taken.
local function bump_traits()
  for i, column in ipairs(columns) do
    column.letter = letter_of(numbered(args.dimensions[i]))
    column.other_word = word_of(column.letter, args.other)
  end
  sum_up()
  for _, day in pairs(days) do read_day(day) end
  for row = 1, rows do
    if row_days[row] then put_row(row) end
  end
  for _, day in pairs(days) do bump_pages(day) end
  bump_site()
end
