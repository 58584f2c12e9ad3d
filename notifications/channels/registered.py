"""Every channel that sends through a provider: whoever adds a channel adds it here."""

from notifications.channels.base import channels
from notifications.channels.email import EmailChannel
from notifications.channels.push import PushChannel
from notifications.channels.sms import SmsChannel

for channel in (EmailChannel(), SmsChannel(), PushChannel()):
    channels.register(channel.key, channel)
