# A line for /etc/hosts and an attribute of the jail.
variable "images" {}

job "hosts" {
  datacenters = ["dc1"]
  type        = "service"

  group "web" {
    task "web" {
      driver = "pot"

      config {
        image       = var.images
        pot         = "web"
        tag         = "1.7"
        command     = "/usr/local/bin/cook"
        extra_hosts = ["artifactory.yourdomain.com:192.168.0.1"]
        attributes  = ["devfs_ruleset:3"]
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
