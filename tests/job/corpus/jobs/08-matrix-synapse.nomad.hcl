# Sixteen variables, three ports, a URL with a slash at the end, a key copied in.
variable "images" {}
variable "host" {}

job "matrix" {
  datacenters = ["dc1"]
  type        = "service"

  group "synapse" {
    network {
      port "http" {}
      port "https" {}
      port "matrix" {}
    }

    task "synapse" {
      driver = "pot"

      env {
        DOMAIN         = "matrix.example.com"
        ALERTEMAIL     = "alert@example.com"
        SMTPHOST       = "10.0.0.25"
        SMTPPORT       = "25"
        SMTPUSER       = "mailuser"
        SMTPPASS       = "mail'password#1"
        SMTPFROM       = "noreply@example.com"
        LDAPSERVER     = "10.0.0.10"
        LDAPPASSWORD   = "ldap$password,2"
        LDAPDOMAIN     = "dc=example,dc=com"
        NOSSL          = "true"
        REGISTRATIONKEY = "(secret)"
        MYSHAREDSECRET = "a b  c"
        SSLEMAIL       = "ssl@example.com"
        CONTROLUSER    = "true"
        MACAROON       = "*?[x]"
      }

      config {
        image   = "${var.images}/"
        pot     = "matrix-synapse-nomad-amd64-13_1"
        tag     = "2.12.1"
        command = "/usr/local/bin/cook"
        args    = [""]
        copy    = ["${var.host}/root/auth_key:/root/importauthkey"]
        port_map = {
          http   = "80"
          https  = "443"
          matrix = "8448"
        }
      }

      resources {
        cpu    = 1000
        memory = 2000
      }
    }
  }
}
