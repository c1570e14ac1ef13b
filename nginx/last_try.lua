-- last_try: what a client is told of a purchase when the last node that was asked for it failed.
--
-- nginx passes on the last answer only, and that may say that nothing was changed ("not ready") though an earlier try became a purchase
-- after all. So nodes tell frontends an unknown outcome by the status 504, as nginx itself counts a try without an answer (504) and a broken
-- one (502): after any of those an answer that is a 5xx becomes what is true of all tries, "the outcome is unknown". Clients see it as a
-- 503 with the key to ask again with. An answer that decides, a refusal too, stays as it is.

local _M = {}

function _M.header()
	local tried = ngx.var.upstream_status
	if ngx.status < 500 or not tried or not tried:find("50[24]") then
		return
	end
	if ngx.status == 504 then          -- the last node says so itself, with the key
		ngx.status = 503
		return
	end
	local text = '{"code":"outcome_unknown","message":"' .. ngx.var.pygmy_lost_message
		.. '","status":"Failed","validation_code":503}\n'
	ngx.ctx.last_try = text
	ngx.status = 503
	ngx.header.content_type = "application/json"
	ngx.header.content_length = #text
	ngx.header["Retry-After"] = 1
	ngx.header["X-Pygmy-Request-Key"] = ngx.var.pygmy_lost_key
end

function _M.body()
	local text = ngx.ctx.last_try
	if not text then
		return
	end
	ngx.arg[1] = ngx.ctx.last_try_sent and "" or text
	ngx.ctx.last_try_sent = true
	ngx.arg[2] = true
end

return _M
